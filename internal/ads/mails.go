package ads

import (
	"fmt"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
)

// The kinds of mail, as they show in file names and logs.
const (
	KindStop   = "ad-stop"
	KindResume = "ad-resume"
)

func (d *Desk) stopMail(h restock.AdHold) mail.Message {
	m := d.message(h, KindStop, h.OpenedAt)
	if h.Advertisement.Language == restock.English {
		m.Subject = fmt.Sprintf("Please stop the advertisement %s: %s is sold out", h.Advertisement.Name, h.ProductName)
		m.Text = letter(
			fmt.Sprintf("%s (%s) has been sold out since %s.", h.ProductName, h.SKU, d.clock(h.OpenedAt)),
			d.expectedEnglish(h),
			fmt.Sprintf("Please stop the advertisement %s. We will write again as soon as it can resume.", h.Advertisement.Name),
		)
		return m
	}
	m.Subject = fmt.Sprintf("광고 중지 요청: %s (%s 품절)", h.Advertisement.Name, h.ProductName)
	m.Text = letter(
		fmt.Sprintf("%s (%s) 상품이 %s부터 품절입니다.", h.ProductName, h.SKU, d.clock(h.OpenedAt)),
		d.expectedKorean(h),
		fmt.Sprintf("광고 %s을(를) 중지해 주세요. 다시 시작할 수 있게 되면 바로 알려 드리겠습니다.", h.Advertisement.Name),
	)
	return m
}

func (d *Desk) resumeMail(h restock.AdHold) mail.Message {
	m := d.message(h, KindResume, h.ClosedAt)
	m.InReplyTo = d.messageID(h, KindStop)
	if h.Advertisement.Language == restock.English {
		m.Subject = fmt.Sprintf("The advertisement %s can resume: %s is back", h.Advertisement.Name, h.ProductName)
		m.Text = letter(
			fmt.Sprintf("%s (%s) has been available again since %s.", h.ProductName, h.SKU, d.clock(h.ClosedAt)),
			fmt.Sprintf("The advertisement %s can resume.", h.Advertisement.Name),
		)
		return m
	}
	m.Subject = fmt.Sprintf("광고 재개 가능: %s (%s 재입고)", h.Advertisement.Name, h.ProductName)
	m.Text = letter(
		fmt.Sprintf("%s (%s) 상품이 %s부터 다시 판매되고 있습니다.", h.ProductName, h.SKU, d.clock(h.ClosedAt)),
		fmt.Sprintf("광고 %s을(를) 다시 시작하셔도 됩니다.", h.Advertisement.Name),
	)
	return m
}

// message is what both mails share. Its date and its id follow from the hold
// alone, so that a repeat is the same mail.
func (d *Desk) message(h restock.AdHold, kind string, date time.Time) mail.Message {
	return mail.Message{
		ID: d.messageID(h, kind), From: d.cfg.From, ReplyTo: d.cfg.ReplyTo, To: h.Advertisement.ManagerEmail,
		Date: date, Kind: kind,
	}
}

func (d *Desk) messageID(h restock.AdHold, kind string) string {
	return kind + "." + h.ID.String() + "@" + d.cfg.Domain
}

func (d *Desk) expectedEnglish(h restock.AdHold) string {
	switch {
	case h.OnOrder == 0:
		return "Nothing is on order yet."
	case h.ExpectedAt.IsZero():
		return fmt.Sprintf("%d pieces are on order.", h.OnOrder)
	default:
		return fmt.Sprintf("%d pieces are on order, expected at %s.", h.OnOrder, d.clock(h.ExpectedAt))
	}
}

func (d *Desk) expectedKorean(h restock.AdHold) string {
	switch {
	case h.OnOrder == 0:
		return "아직 발주된 수량이 없습니다."
	case h.ExpectedAt.IsZero():
		return fmt.Sprintf("%d개가 발주되어 있습니다.", h.OnOrder)
	default:
		return fmt.Sprintf("%d개가 발주되어 있으며 %s 입고 예정입니다.", h.OnOrder, d.clock(h.ExpectedAt))
	}
}

func (d *Desk) clock(t time.Time) string {
	return t.In(d.cfg.Zone).Format("2006-01-02 15:04:05 MST")
}

func letter(paragraphs ...string) string {
	return strings.Join(paragraphs, "\n\n") + "\n\n— restock\n"
}
