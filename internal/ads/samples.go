package ads

import (
	"context"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
)

// Samples makes every kind of mail to an ad manager, for people to look at. Their
// links lead nowhere.
func Samples(cfg Config, language restock.Language, at time.Time) []mail.Sample {
	cfg.Links = noLinks{}
	d := New(nil, nil, cfg)
	names := map[restock.Language][]string{
		restock.Korean: {"부산도너츠", "크림도너츠", "꽈배기"}, restock.English: {"Busan Donut", "Cream Donut", "Twist"},
	}[language]
	facts := func(n int, since time.Time) restock.AdFacts {
		f := restock.AdFacts{Name: "donut-main", Language: language, Total: n, Products: []restock.AdProduct{
			{SKU: "CP-502101", Name: names[0], Since: since, OnOrder: 300, ExpectedAt: since.Add(3 * time.Hour)},
			{SKU: "CP-502102", Name: names[1], Since: since.Add(20 * time.Minute), OnOrder: 50},
			{SKU: "CP-502103", Name: names[2], Since: since.Add(25 * time.Minute)},
		}}
		f.Products = f.Products[:n]
		return f
	}
	hold := func(n int) restock.AdHold {
		one := func(after time.Duration) restock.AdMail {
			return restock.AdMail{DueAt: at.Add(after), Facts: facts(n, at)}
		}
		return restock.AdHold{
			ID:            restock.AdHoldID{1},
			Advertisement: restock.Advertisement{Name: "donut-main", ManagerEmail: "ads@shop.example", Language: language},
			Stop:          restock.AdQuestion{Mail: one(0), Reminder: one(time.Hour)},
			Resume: restock.AdQuestion{
				Mail:     restock.AdMail{DueAt: at.Add(3 * time.Hour), Facts: facts(n, at.Add(3*time.Hour))},
				Reminder: restock.AdMail{DueAt: at.Add(4 * time.Hour), Facts: facts(n, at.Add(3*time.Hour))},
			},
		}
	}
	var samples []mail.Sample
	for _, s := range []struct {
		products int
		suffix   string
		kinds    []restock.AdMailKind
	}{
		{1, "", []restock.AdMailKind{restock.AdMailStop, restock.AdMailStopReminder, restock.AdMailResume, restock.AdMailResumeReminder}},
		{3, "-several", []restock.AdMailKind{restock.AdMailStop, restock.AdMailResume}},
	} {
		for _, kind := range s.kinds {
			m := d.compose(hold(s.products), kind)
			samples = append(samples, mail.Sample{Name: m.Kind + s.suffix + "-" + string(language), Message: m})
		}
	}
	return samples
}

// noLinks makes links that no server knows.
type noLinks struct{}

func (noLinks) Sign(carried []byte) string                  { return strings.Repeat("a", 2*len(carried)) }
func (noLinks) Open(context.Context, string) ([]byte, bool) { return nil, false }
