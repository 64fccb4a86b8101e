package page

import (
	"bytes"
	"context"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// look is how somebody looks at a page.
type look struct {
	theme string
	width int64
}

func (l look) of(page string) string {
	return page + "-" + strconv.FormatInt(l.width, 10) + "-" + l.theme
}

// TestPictures takes the pictures of docs/dashboard.md, of a shop with a week
// behind it: every page at a desk and on a phone, in the light and in the dark.
// Without -screenshots it looks that they can be taken and that they are there; of
// the pages that are looked at less, all looks only in full.
func TestPictures(t *testing.T) {
	t.Parallel()
	shop := openShowcase(t)
	b := open(t, shop, "ko")
	every := *screenshots != "" || os.Getenv("RESTOCK_TEST_FULL") == "1"
	looks := func(name, path string, all bool) {
		for _, l := range []look{{"light", 1280}, {"dark", 1280}, {"light", 390}, {"dark", 390}} {
			if _, err := os.Stat(filepath.Join("../../docs/images/dashboard", l.of(name)+".png")); err != nil && *screenshots == "" {
				t.Errorf("the picture %s is not in docs: take it with -screenshots", l.of(name))
			}
			if !all && (l.theme == "dark") == (l.width == 1280) {
				continue // one of the desk in the light, and one of the phone in the dark
			}
			b.theme(l.theme)
			b.size(l.width, 800)
			b.visit(path)
			if name == "login" { // where the test keeps its data is nobody's business
				eval[bool](b, `{ const at = document.querySelector(".hint .code"); at.textContent = "restock-data/operator-token"; true }`)
			}
			b.picture(l.of(name))
		}
	}
	looks("login", "/dashboard/login", every)
	b.signIn("김운영", operatorToken(t, shop))
	for _, view := range []struct{ name, path string }{
		{"overview", "/dashboard"},
		{"product", "/dashboard/products/CP-502101"},
		{"waiting", "/dashboard/waiting"},
		{"receipt", b.link("/dashboard/waiting", `a[href^="/dashboard/receipts/"]`)},
		{"orders", "/dashboard/orders"},
		{"order", b.link("/dashboard/waiting", `a[href^="/dashboard/orders/"]`)},
		{"queues", "/dashboard/queues"},
		{"letter", b.link("/dashboard/queues", `.letters a[href^="/dashboard/dead-letters/"]`)},
		{"mail", "/dashboard/mail"},
		{"audit", "/dashboard/audit"},
		{"checks", "/dashboard/checks"},
	} {
		looks(view.name, view.path, every || view.name == "overview" || view.name == "product")
	}
	english := open(t, shop, "en")
	english.theme("light")
	english.signIn("Kim", operatorToken(t, shop))
	english.visit("/dashboard")
	english.picture("overview-1280-light-en")
	b.wantQuiet()
	english.wantQuiet()
	if err := shop.Verify(); err != nil {
		t.Error(err)
	}
}

// link is where a link on a page leads.
func (b *tab) link(path, selector string) string {
	b.t.Helper()
	b.visit(path)
	return eval[string](b, `document.querySelector(`+strconv.Quote(selector)+`)?.getAttribute("href") ?? ""`)
}

// picture takes a picture of the whole page, and keeps it if it is wanted.
func (b *tab) picture(name string) {
	b.t.Helper()
	const tallest = 2600
	if status := eval[int](b, `performance.getEntriesByType("navigation")[0].responseStatus`); status != http.StatusOK {
		b.t.Fatalf("the page of the picture %s is answered with %d", name, status)
	}
	width := eval[int64](b, `innerWidth`)
	b.size(width, min(tallest, max(700, eval[int64](b, `document.documentElement.scrollHeight`)))) //nolint:mnd // as low as a screen
	ctx, cancel := context.WithTimeout(b.ctx, waitMax)
	defer cancel()
	shot, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng})
	b.must(err)
	got, err := png.DecodeConfig(bytes.NewReader(shot.Data))
	if err != nil || int64(got.Width) != width {
		b.t.Fatalf("the picture %s is %d wide, want %d: %v", name, got.Width, width, err)
	}
	if *screenshots != "" {
		b.must(os.WriteFile(filepath.Join(*screenshots, name+".png"), shot.Data, 0o644))
	}
}
