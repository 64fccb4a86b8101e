package ads

import (
	"fmt"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
)

// The kinds of mail, as they show in Message-IDs, file names and logs.
const (
	KindStop           = "ad-stop"
	KindStopReminder   = "ad-remind-stop"
	KindResume         = "ad-resume"
	KindResumeReminder = "ad-remind-resume"
)

func kindOf(k restock.AdMailKind) string {
	return map[restock.AdMailKind]string{
		restock.AdMailStop: KindStop, restock.AdMailStopReminder: KindStopReminder,
		restock.AdMailResume: KindResume, restock.AdMailResumeReminder: KindResumeReminder,
	}[k]
}

// compose makes a mail of a hold. Its date, its id and its words follow from what
// was written down when it was begun, so that a repeat is the same mail.
func (d *Desk) compose(h restock.AdHold, kind restock.AdMailKind) mail.Message {
	written := h.Mail(kind)
	w := words{d: d, facts: written.Facts, kind: kind, link: d.linkTo(h, kind), expires: written.DueAt.Add(d.cfg.LinkLife)}
	m := mail.Message{
		ID: d.messageID(h, kind), From: d.cfg.From, ReplyTo: d.cfg.ReplyTo, To: h.Advertisement.ManagerEmail,
		Date: written.DueAt, Kind: kindOf(kind), TraceID: restock.TraceID(written.Facts.TraceParent),
	}
	subject := subjectOf(written.Facts, kind)
	switch kind {
	case restock.AdMailStop:
	case restock.AdMailStopReminder:
		m.InReplyTo = d.messageID(h, restock.AdMailStop)
		subject = "Re: " + subjectOf(h.Stop.Mail.Facts, kind) // mail programs go by it too
	case restock.AdMailResume:
		m.InReplyTo = d.messageID(h, restock.AdMailStop)
	case restock.AdMailResumeReminder:
		m.InReplyTo, m.References = d.messageID(h, restock.AdMailResume), []string{d.messageID(h, restock.AdMailStop)}
		subject = "Re: " + subjectOf(h.Resume.Mail.Facts, kind)
	}
	m.Subject = subject
	if written.Facts.Language == restock.English {
		return w.english().In(m)
	}
	return w.korean().In(m)
}

func (d *Desk) messageID(h restock.AdHold, kind restock.AdMailKind) string {
	return kindOf(kind) + "." + h.ID.String() + "@" + d.cfg.Domain
}

// subjectOf names the advertisement and what it is about.
func subjectOf(f restock.AdFacts, kind restock.AdMailKind) string {
	ad, resume := mail.Name(f.Name), kind.Ask() == restock.AskResume
	if len(f.Products) == 0 {
		return pick(f, "광고 재개 가능: "+ad, "The advertisement "+ad+" can resume")
	}
	product, more := nameOf(f.Products[0]), f.Total-1
	what, state := product, pick(f, "품절", "is sold out")
	if resume {
		state = pick(f, "재입고", "is back")
	}
	if more > 0 {
		what = pick(f, fmt.Sprintf("%s 외 %d개", product, more), fmt.Sprintf("%s and %d more", product, more))
		state = pick(f, state, map[bool]string{false: "are sold out", true: "are back"}[resume])
	}
	if resume {
		return pick(f, fmt.Sprintf("광고 재개 가능: %s (%s %s)", ad, what, state), fmt.Sprintf("The advertisement %s can resume: %s %s", ad, what, state))
	}
	return pick(f, fmt.Sprintf("광고 중지 요청: %s (%s %s)", ad, what, state), fmt.Sprintf("Please stop the advertisement %s: %s %s", ad, what, state))
}

func pick(f restock.AdFacts, korean, english string) string {
	if f.Language == restock.English {
		return english
	}
	return korean
}

// nameOf is the name of a product; one of which nothing can be shown is known by
// its SKU.
func nameOf(p restock.AdProduct) string {
	if name := mail.Name(p.Name); name != "" {
		return name
	}
	return mail.Name(string(p.SKU))
}

// words is a mail about to be written.
type words struct {
	d       *Desk
	facts   restock.AdFacts
	kind    restock.AdMailKind
	link    string
	expires time.Time
}

func (w words) clock(t time.Time) string { return w.d.clock(w.facts.Language, t) }

func (w words) korean() mail.Body {
	ad, b := mail.Name(w.facts.Name), mail.Body{Language: restock.Korean}
	if w.kind.Reminder() {
		b.Paragraphs = append(b.Paragraphs, "아직 답을 받지 못하여 한 번 더 알려 드립니다.")
	}
	if w.kind.Ask() == restock.AskResume {
		b.Tone, b.Title = mail.Go, "광고를 다시 시작하실 수 있습니다: "+ad
		b.Ask = []string{fmt.Sprintf("광고 %s을(를) 다시 시작하셔도 됩니다.", ad)}
		b.Button = mail.Button{Label: "다시 시작했습니다", URL: w.link}
	} else {
		b.Tone, b.Title = mail.Stop, "광고를 중지해 주세요: "+ad
		b.Ask = []string{fmt.Sprintf("광고 %s을(를) 중지해 주세요. 다시 시작할 수 있게 되면 바로 알려 드리겠습니다.", ad)}
		b.Button = mail.Button{Label: "중지했습니다", URL: w.link}
	}
	b.Notes = []string{
		fmt.Sprintf("처리하신 뒤 위의 링크를 열고 버튼을 한 번 눌러 주세요. 로그인은 필요 없으며, 링크는 %s까지 쓸 수 있습니다.", w.clock(w.expires)),
		"이 메일에 답장하시면 운영팀이 받습니다.",
	}
	switch resume := w.kind.Ask() == restock.AskResume; w.facts.Total {
	case 0:
		b.Paragraphs = append(b.Paragraphs, fmt.Sprintf("광고 %s을(를) 멈출 이유가 없어졌습니다.", ad))
	case 1:
		p := w.facts.Products[0]
		b.Paragraphs = append(b.Paragraphs, fmt.Sprintf("%s (%s) 상품이 %s부터 %s.", nameOf(p), mail.Name(string(p.SKU)), w.clock(p.Since),
			map[bool]string{false: "품절입니다", true: "다시 판매되고 있습니다"}[resume]))
		if !resume {
			b.Paragraphs = append(b.Paragraphs, w.expectedKorean(p)+".")
		}
	default:
		b.Paragraphs = append(b.Paragraphs, fmt.Sprintf("광고 %s의 상품 %d개가 %s.", ad, w.facts.Total,
			map[bool]string{false: "품절입니다", true: "다시 판매되고 있습니다"}[resume]))
		b.Items = w.items("%s부터 품절", "%s부터 다시 판매", w.expectedKorean)
		if more := w.facts.Total - len(w.facts.Products); more > 0 {
			b.Ask = append([]string{fmt.Sprintf("그 밖의 상품 %d개.", more)}, b.Ask...)
		}
	}
	return b
}

func (w words) english() mail.Body {
	ad, b := mail.Name(w.facts.Name), mail.Body{Language: restock.English}
	if w.kind.Reminder() {
		b.Paragraphs = append(b.Paragraphs, "We have not heard from you, so we write once more.")
	}
	if w.kind.Ask() == restock.AskResume {
		b.Tone, b.Title = mail.Go, ad+" can resume"
		b.Ask = []string{fmt.Sprintf("The advertisement %s can resume.", ad)}
		b.Button = mail.Button{Label: "I have resumed it", URL: w.link}
	} else {
		b.Tone, b.Title = mail.Stop, "Please stop "+ad
		b.Ask = []string{fmt.Sprintf("Please stop the advertisement %s. We will write again as soon as it can resume.", ad)}
		b.Button = mail.Button{Label: "I have stopped it", URL: w.link}
	}
	b.Notes = []string{
		fmt.Sprintf("When it is done, open the link above and press its one button. There is no login, and the link is good until %s.", w.clock(w.expires)),
		"Replies to this mail reach operations.",
	}
	switch resume := w.kind.Ask() == restock.AskResume; w.facts.Total {
	case 0:
		b.Paragraphs = append(b.Paragraphs, fmt.Sprintf("Nothing keeps the advertisement %s from running any more.", ad))
	case 1:
		p := w.facts.Products[0]
		b.Paragraphs = append(b.Paragraphs, fmt.Sprintf("%s (%s) has been %s since %s.", nameOf(p), mail.Name(string(p.SKU)),
			map[bool]string{false: "sold out", true: "available again"}[resume], w.clock(p.Since)))
		if !resume {
			b.Paragraphs = append(b.Paragraphs, w.expectedEnglish(p)+".")
		}
	default:
		b.Paragraphs = append(b.Paragraphs, fmt.Sprintf("%d products of the advertisement %s are %s.", w.facts.Total, ad,
			map[bool]string{false: "sold out", true: "available again"}[resume]))
		b.Items = w.items("sold out since %s", "available again since %s", w.expectedEnglish)
		if more := w.facts.Total - len(w.facts.Products); more > 0 {
			b.Ask = append([]string{fmt.Sprintf("And %d more.", more)}, b.Ask...)
		}
	}
	return b
}

// items lists the products of a mail about several.
func (w words) items(out, back string, expected func(restock.AdProduct) string) []mail.Item {
	items := make([]mail.Item, 0, len(w.facts.Products))
	for _, p := range w.facts.Products {
		item := mail.Item{Title: fmt.Sprintf("%s (%s)", nameOf(p), mail.Name(string(p.SKU)))}
		if w.kind.Ask() == restock.AskResume {
			item.Lines = []string{fmt.Sprintf(back, w.clock(p.Since))}
		} else {
			item.Lines = []string{fmt.Sprintf(out, w.clock(p.Since)), expected(p)}
		}
		items = append(items, item)
	}
	return items
}

func (w words) expectedEnglish(p restock.AdProduct) string {
	pieces := "pieces are"
	if p.OnOrder == 1 {
		pieces = "piece is"
	}
	switch {
	case p.OnOrder == 0:
		return "Nothing is on order yet"
	case p.ExpectedAt.IsZero():
		return fmt.Sprintf("%d %s on order", p.OnOrder, pieces)
	default:
		return fmt.Sprintf("%d %s on order, expected on %s", p.OnOrder, pieces, w.clock(p.ExpectedAt))
	}
}

func (w words) expectedKorean(p restock.AdProduct) string {
	switch {
	case p.OnOrder == 0:
		return "아직 발주된 수량이 없습니다"
	case p.ExpectedAt.IsZero():
		return fmt.Sprintf("%d개가 발주되어 있습니다", p.OnOrder)
	default:
		return fmt.Sprintf("%d개가 발주되어 있으며 %s 입고 예정입니다", p.OnOrder, w.clock(p.ExpectedAt))
	}
}

// clock is a time as people write it, without hyphens, at which a phone would
// break the line.
func (d *Desk) clock(l restock.Language, t time.Time) string {
	layout := "2006년 1월 2일 15:04 MST"
	if l == restock.English {
		layout = "2 January 2006, 15:04 MST"
	}
	return t.In(d.cfg.Zone).Format(layout)
}
