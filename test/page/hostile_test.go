package page

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // of a string
	}
	return text
}

// TestAStoredScriptDoesNothing puts scripts into every text that comes from
// outside, and looks at every page: none runs, and none is even tried, which a
// browser would report.
func TestAStoredScriptDoesNothing(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"in a tag":         `"><script>window.ran=1;alert(1)</script>`,
		"in an attribute":  `x' onmouseover='window.ran=1' autofocus onfocus=window.ran=1 x="`,
		"in a picture":     `<img src=x onerror="window.ran=1"><svg onload=window.ran=1>`,
		"in an address":    `javascript:window.ran=1`,
		"behind its place": `</title></textarea></pre></script><script>window.ran=1</script><!--`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := openBusy(t, words{script, script, script, script, script, script, script, script, script})
			b := open(t, shop.Shop, "ko")
			b.visit("/dashboard/login?next=" + script)
			b.signIn(script, operatorToken(t, shop.Shop))
			for page, address := range shop.pages() {
				b.visit(address)
				if page != descriptionPage { // which has no word from outside
					b.until("body", strings.Join(strings.Fields(script), " ")) // it is there to be read
				}
				if n := eval[int](b, `document.querySelectorAll("script:not([src]), img, iframe, [onerror], [onload], [onfocus], [onmouseover]").length`); n > 0 {
					t.Errorf("%s: %d elements were made of words", page, n)
				}
				if n := eval[int](b, `[...document.querySelectorAll("a[href], form[action]")].filter(e => /^\s*javascript:/i.test(e.getAttribute("href") || e.getAttribute("action"))).length`); n > 0 {
					t.Errorf("%s: %d addresses are scripts", page, n)
				}
			}
			// What changes while a page is open is no way in either.
			b.visit("/dashboard/audit")
			shop.act(t, "/v1/ordering/resume")
			b.until("main tbody tr:nth-child(1)", "발주 다시 시작")
			if eval[bool](b, `"ran" in window`) {
				t.Error("a stored script ran")
			}
			b.wantQuiet()
			if strings.Contains(shop.Server.LastWords(), "a browser refused something") {
				t.Error("a browser reported that it refused something")
			}
		})
	}
}

// TestABrowserReportsWhatItRefuses is the control of the test above: a script
// that does get into a page is refused, reported, and counted.
func TestABrowserReportsWhatItRefuses(t *testing.T) {
	t.Parallel()
	shop := openShop(t)
	b := open(t, shop, "en")
	b.signIn("Kim", operatorToken(t, shop))
	b.do(chromedp.Evaluate[chromedp.Void](`void document.body.append(Object.assign(document.createElement("script"), {textContent: "window.ran = 1"}))`))
	b.do(chromedp.Evaluate[chromedp.Void](`void document.body.insertAdjacentHTML("beforeend", "<p style='color: red' onclick='1'>x</p><img src='http://127.0.0.1:1/x.png'>")`))
	shop.Until("the browser reports", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.reports) >= 3
	})
	if eval[bool](b, `"ran" in window`) {
		t.Error("a script that is in the page itself ran")
	}
	shop.Until("the server hears of it", func() bool { return strings.Contains(shop.Server.LastWords(), "a browser refused something") })
}

// TestWordsAsLongAsTheirFieldsStayOnThePage: names and ids of other people have
// no blank where a line could end, and push nothing out of sight.
func TestWordsAsLongAsTheirFieldsStayOnThePage(t *testing.T) {
	t.Parallel()
	word := strings.Repeat("Wonderfulproduct", 8) // 128 bytes
	shop := openBusy(t, words{word, word, word, word, word, word, word, word, word})
	b := open(t, shop.Shop, "en") // whose own words are the longer ones
	b.signIn("Kim", operatorToken(t, shop.Shop))
	for page, address := range shop.pages() {
		for _, width := range []int64{320, 1280} {
			b.size(width, 800)
			b.visit(address)
			if got := eval[int64](b, `document.documentElement.scrollWidth`); got > width {
				t.Errorf("%s is %d wide, in a window of %d", page, got, width)
			}
		}
	}
	b.wantQuiet()
}
