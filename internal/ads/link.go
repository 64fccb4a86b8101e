package ads

import (
	"context"
	"encoding/binary"
	"net/url"
	"time"

	"github.com/restock/restock"
)

// AnswerPath is where the links in mails lead, and tokenField what they carry. It
// stands in the query, which no log shows.
const (
	AnswerPath = "/ad-answer"
	tokenField = "token"
)

// answerLink is what a link says: which question of which hold is answered, and
// until when. It is signed; it is, in bytes:
//
//	version 1 · question 1 · hold 16 · seconds since 1970 8
type answerLink struct {
	hold    restock.AdHoldID
	ask     restock.AdAsk
	expires time.Time
}

const (
	linkVersion = 1
	linkLen     = 1 + 1 + 16 + 8

	linkStop   = 1
	linkResume = 2
)

func (l answerLink) carried() []byte {
	ask := byte(linkStop)
	if l.ask == restock.AskResume {
		ask = linkResume
	}
	carried := append(make([]byte, 0, linkLen), linkVersion, ask)
	carried = append(carried, l.hold[:]...)
	return binary.BigEndian.AppendUint64(carried, uint64(l.expires.Unix())) //nolint:gosec // after 1970.
}

func readLink(carried []byte) (answerLink, bool) {
	if len(carried) != linkLen || carried[0] != linkVersion || (carried[1] != linkStop && carried[1] != linkResume) {
		return answerLink{}, false
	}
	l := answerLink{
		ask: restock.AskStop, hold: restock.AdHoldID(carried[2:18]),
		expires: time.Unix(int64(binary.BigEndian.Uint64(carried[18:])), 0), //nolint:gosec // as it was signed.
	}
	if carried[1] == linkResume {
		l.ask = restock.AskResume
	}
	return l, true
}

// linkTo is the address in a mail. It follows from the mail's date, so that a
// repeat is the same mail.
func (d *Desk) linkTo(h restock.AdHold, kind restock.AdMailKind) string {
	l := answerLink{hold: h.ID, ask: kind.Ask(), expires: h.Mail(kind).DueAt.Add(d.cfg.LinkLife)}
	return d.cfg.PublicURL + AnswerPath + "?" + url.Values{tokenField: {d.cfg.Links.Sign(l.carried())}}.Encode()
}

// openLink reads a link of ours; it may have expired.
func (d *Desk) openLink(ctx context.Context, token string) (answerLink, bool) {
	carried, ok := d.cfg.Links.Open(ctx, token)
	if !ok {
		return answerLink{}, false
	}
	return readLink(carried)
}
