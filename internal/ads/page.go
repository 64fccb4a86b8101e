package ads

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/web"
)

// answerBytesMax bounds the form that the page sends.
const answerBytesMax = 4 << 10

// byLink is who answered, when it was whoever has the mail.
const byLink = "the link in the mail"

// Register adds the page on which ad managers answer.
//
// To open it changes nothing, so a program that opens every link of a mail does
// no harm. Its one button sends the link's text in a form, and only that acts.
func (d *Desk) Register(mux web.Router) {
	mux.HandleFunc("GET "+AnswerPath, func(w http.ResponseWriter, r *http.Request) {
		d.answer(w, r, r.URL.Query().Get(tokenField), false)
	})
	mux.HandleFunc("POST "+AnswerPath, func(w http.ResponseWriter, r *http.Request) {
		body, err := web.ReadBody(w, r, answerBytesMax)
		form, parseErr := url.ParseQuery(string(body))
		if err != nil || parseErr != nil {
			form = nil // it is not what our page sends
		}
		d.answer(w, r, form.Get(tokenField), true)
	})
}

// answer looks at a link and acts on it, if that is meant.
func (d *Desk) answer(w http.ResponseWriter, r *http.Request, token string, act bool) {
	link, genuine := d.openLink(r.Context(), token)
	if !genuine {
		d.show(w, http.StatusNotFound, invalidPage(web.Language(r)))
		return
	}
	expired := !d.cfg.Now().Before(link.expires)
	look := d.store.AdAnswer
	if act && !expired {
		look = d.take
	}
	hold, answer, err := look(r.Context(), link.hold, link.ask)
	switch {
	case restock.KindOf(err) == restock.NotFound:
		d.show(w, http.StatusNotFound, invalidPage(web.Language(r)))
		return
	case err != nil:
		fault := web.Report(w, r, d.cfg.Logger, err)
		d.show(w, fault.Status, failedPage(web.Language(r)))
		return
	case expired:
		d.show(w, http.StatusGone, expiredPage(hold.Advertisement.Language))
		return
	case answer == restock.AnswerTaken:
		d.cfg.Logger.InfoContext(r.Context(), "ad manager answered", keyHold, hold.ID, keySKU, hold.SKU, keyAsk, link.ask)
	}
	d.show(w, http.StatusOK, d.answerPage(hold, link.ask, answer, token))
}

func (d *Desk) take(ctx context.Context, id restock.AdHoldID, ask restock.AdAsk) (restock.AdHold, restock.AdAnswer, error) {
	return d.store.AcknowledgeAd(ctx, id, ask, byLink)
}

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// pagePolicy lets the page do nothing but what it shows: no script, nothing from
// elsewhere, its own style, and its form to us.
var pagePolicy = func() string {
	hash := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// page is what is shown.
type page struct {
	Language   restock.Language
	Tone       mail.Tone
	Title      string
	Paragraphs []string
	// Button is the one button, and Token what it sends; "" is none.
	Button, Token string
}

func (d *Desk) show(w http.ResponseWriter, status int, p page) {
	var body strings.Builder
	err := pageTemplate.Execute(&body, struct {
		page

		Style  template.CSS
		Action string
	}{p, template.CSS(pageStyle), AnswerPath}) //nolint:gosec // a constant of ours.
	if err != nil {
		d.cfg.Logger.Error("the page of an answer cannot be shown", keyError, err)
		status = http.StatusInternalServerError
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(p.Language))
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer") // the address holds the token
	h.Set("X-Robots-Tag", "noindex")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body.String()) // who has gone is not told
}

// answerPage shows a question, or why it is no longer one.
func (d *Desk) answerPage(h restock.AdHold, ask restock.AdAsk, answer restock.AdAnswer, token string) page {
	q := h.Question(ask)
	facts := q.Mail.Facts
	if facts.Name == "" { // of a hold from before
		facts = restock.AdFacts{Name: h.Advertisement.Name, Language: h.Advertisement.Language}
	}
	ad, resume := mail.Name(facts.Name), ask == restock.AskResume
	say := func(korean, english string) string { return pick(facts, korean, english) }
	p := page{Language: facts.Language, Tone: mail.Stop, Paragraphs: []string{aboutOf(facts)}}
	if resume {
		p.Tone = mail.Go
	}
	switch answer {
	case restock.AnswerAwaited:
		p.Token = token
		p.Title = say("광고를 중지하셨나요?", "Have you stopped it?")
		p.Button = say("네, 중지했습니다", "Yes, I have stopped it")
		if resume {
			p.Title = say("광고를 다시 시작하셨나요?", "Have you resumed it?")
			p.Button = say("네, 다시 시작했습니다", "Yes, I have resumed it")
		}
	case restock.AnswerTaken:
		p.Title = say("감사합니다", "Thank you")
		p.Paragraphs = append(p.Paragraphs, say("답을 기록했습니다. 더 하실 일은 없습니다.", "Your answer is noted. There is nothing else to do."))
	case restock.AnswerKnown:
		p.Title = say("이미 답을 받았습니다", "Already answered")
		p.Paragraphs = append(p.Paragraphs, say(
			d.clock(facts.Language, q.AcknowledgedAt)+"에 기록되었습니다. 더 하실 일은 없습니다.",
			fmt.Sprintf("It was noted at %s. There is nothing else to do.", d.clock(facts.Language, q.AcknowledgedAt))))
	case restock.AnswerBack:
		p.Tone, p.Title = mail.Go, say("다시 판매되고 있습니다", "Back in stock")
		p.Paragraphs = []string{say(
			fmt.Sprintf("광고 %s을(를) 중지하지 않으셔도 됩니다. 이미 중지하셨다면 다시 시작하셔도 됩니다.", ad),
			fmt.Sprintf("The advertisement %s need not be stopped. If you have stopped it, it can resume.", ad))}
	case restock.AnswerOut:
		p.Tone, p.Title = mail.Stop, say("다시 품절되었습니다", "Sold out again")
		p.Paragraphs = []string{say(
			fmt.Sprintf("광고 %s은(는) 중지해 두어 주세요. 다시 시작할 수 있게 되면 바로 알려 드리겠습니다.", ad),
			fmt.Sprintf("Please leave the advertisement %s stopped. We will write as soon as it can resume.", ad))}
	case restock.AnswerOutdated:
		p.Tone, p.Title = mail.Plain, say("지난 메일입니다", "An older mail")
		p.Paragraphs = append(p.Paragraphs, say("그 뒤의 메일이 있거나 곧 도착합니다. 가장 최근 메일을 봐 주세요.",
			"There is a later mail, or one is on its way. Please go by the latest."))
	}
	return p
}

// aboutOf says which advertisement and which products a page is about.
func aboutOf(f restock.AdFacts) string {
	about := pick(f, "광고 ", "Advertisement ") + mail.Name(f.Name)
	if len(f.Products) == 0 {
		return about
	}
	about += ": " + nameOf(f.Products[0])
	if more := f.Total - 1; more > 0 {
		about += pick(f, fmt.Sprintf(" 외 %d개", more), fmt.Sprintf(" and %d more", more))
	}
	return about
}

func invalidPage(l restock.Language) page {
	f := restock.AdFacts{Language: l}
	return page{
		Language: l, Title: pick(f, "알 수 없는 링크입니다", "This link is not known"),
		Paragraphs: []string{pick(f, "바뀐 것은 없습니다. 메일의 링크를 끝까지 옮기셨는지 확인하시거나, 그 메일에 답장해 주세요.",
			"Nothing was changed. Please check that the whole link of the mail was copied, or reply to that mail.")},
	}
}

func expiredPage(l restock.Language) page {
	f := restock.AdFacts{Language: l}
	return page{
		Language: l, Title: pick(f, "기한이 지난 링크입니다", "This link has expired"),
		Paragraphs: []string{pick(f, "바뀐 것은 없습니다. 메일에 답장하시면 운영팀이 도와 드립니다.",
			"Nothing was changed. Please reply to the mail; operations will help.")},
	}
}

func failedPage(l restock.Language) page {
	f := restock.AdFacts{Language: l}
	return page{
		Language: l, Title: pick(f, "지금은 처리할 수 없습니다", "Not possible right now"),
		Paragraphs: []string{pick(f, "바뀐 것은 없습니다. 잠시 후 다시 눌러 주세요.", "Nothing was changed. Please try again in a moment.")},
	}
}
