package ads

import (
	"net/http/httptest"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
)

func holdAbout(language restock.Language, product, sku, ad string) restock.AdHold {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	m := restock.AdMail{DueAt: at, SentAt: at, Tries: 1, Facts: restock.AdFacts{
		Name: ad, Language: language, Total: 2, Products: []restock.AdProduct{
			{SKU: restock.SKU(sku), Name: product, Since: at, OnOrder: 3}, {SKU: restock.SKU(sku), Name: product, Since: at},
		},
	}}
	one := m
	one.Facts.Products, one.Facts.Total = one.Facts.Products[:1], 1
	return restock.AdHold{
		ID: restock.AdHoldID{1}, Advertisement: restock.Advertisement{Name: ad, ManagerEmail: "ads@donut.example", Language: language},
		Stop: restock.AdQuestion{Mail: m, Reminder: one}, Resume: restock.AdQuestion{Mail: one, Reminder: m},
	}
}

// MailsAbout makes all mails about a product with strange names.
func MailsAbout(cfg Config, language restock.Language, product, sku, ad string) []mail.Message {
	d := New(nil, nil, cfg)
	var mails []mail.Message
	for _, kind := range []restock.AdMailKind{
		restock.AdMailStop, restock.AdMailStopReminder, restock.AdMailResume, restock.AdMailResumeReminder,
	} {
		mails = append(mails, d.compose(holdAbout(language, product, sku, ad), kind))
	}
	return mails
}

// Page is one page, by what it answers.
type Page struct{ Name, HTML string }

// PagesAbout makes all pages about a product with strange names.
func PagesAbout(language restock.Language, product, sku, ad string) []Page {
	hold := holdAbout(language, product, sku, ad)
	d := New(nil, nil, Config{})
	var pages []Page
	for _, ask := range []restock.AdAsk{restock.AskStop, restock.AskResume} {
		for _, answer := range []restock.AdAnswer{
			restock.AnswerAwaited, restock.AnswerTaken, restock.AnswerKnown, restock.AnswerBack, restock.AnswerOut, restock.AnswerOutdated,
		} {
			w := httptest.NewRecorder()
			d.show(w, 200, d.answerPage(hold, ask, answer, "token"))
			pages = append(pages, Page{string(ask) + " " + string(answer), w.Body.String()})
		}
	}
	return pages
}
