package page

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/restock/restock/test/blackbox"
	"github.com/restock/restock/test/servers"
)

// waitMax bounds every wait for what a page does by itself. It ends what hangs: a
// browser on a busy machine is slow.
const waitMax = 4 * time.Minute

// built is the program, once for all tests.
var built = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "restock-page-")
	if err != nil {
		return "", err
	}
	return blackbox.Build(context.Background(), folder, "")
})

// chromium is the browser that all tests share, each with a profile of its own.
var chromium = sync.OnceValues(func() (browser, error) {
	program, err := findChromium()
	if err != nil {
		return browser{}, err
	}
	// Without these it would look for its maker's servers at every start.
	allocator, end := chromedp.NewExecAllocator(context.Background(), chromedp.ExecPath(program), chromedp.Headless, chromedp.NoSandbox,
		chromedp.NoFirstRun, chromedp.DisableGPU, chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-quic", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.WSURLReadTimeout(waitMax))
	ctx, cancel := chromedp.NewContext(allocator)
	b := browser{ctx: ctx, end: func() { cancel(); end() }}
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		b.end()
		return browser{}, fmt.Errorf("%w: it does not start: %w", errNoBrowser, err)
	}
	return b, nil
})

// errNoBrowser is that this machine has no Chromium.
var errNoBrowser = errors.New("no Chromium")

type browser struct {
	ctx context.Context // it is the life of the browser.
	end func()
}

func findChromium() (string, error) {
	for range 2 {
		for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
			if path, err := exec.LookPath(name); err == nil {
				return path, nil
			}
		}
		if err := servers.Install("chromium", "fonts-noto-cjk"); err != nil {
			return "", fmt.Errorf("%w: %w", errNoBrowser, err)
		}
	}
	return "", fmt.Errorf("%w: the package has no program of that name", errNoBrowser)
}

// screenshots is where pictures for the documents go:
//
//	go test ./test/page -run TestPictures -screenshots "$PWD/docs/images/dashboard"
var screenshots = flag.String("screenshots", "", "write pictures of the pages into this folder")

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if b, err := chromium(); err == nil && started {
		b.end()
	}
	if binary, err := built(); err == nil && started {
		_ = os.RemoveAll(filepath.Dir(binary))
	}
	os.Exit(code)
}

// started says that a browser was asked for.
var started bool

// tab is a page of a shop in the browser, with cookies of its own.
type tab struct {
	t    *testing.T
	ctx  context.Context // it is the life of the tab.
	shop *blackbox.Shop

	mu      sync.Mutex
	reports []string // of what a page was not allowed to do
	dialogs []string
	errors  []string // of its script
}

var starting sync.Mutex

// open opens a tab at a shop.
func open(t *testing.T, shop *blackbox.Shop, language string) *tab {
	t.Helper()
	starting.Lock()
	started = true
	b, err := chromium()
	starting.Unlock()
	if errors.Is(err, errNoBrowser) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	tab := &tab{t: t, ctx: ctx, shop: shop}
	tab.must(chromedp.Do(ctx, chromedp.Navigate("about:blank"))) // the tab lives as long as this context
	tab.must(chromedp.Listen(ctx, tab.heard))
	call(tab, page.Enable, page.EnableParams{})
	call(tab, network.Enable, network.EnableParams{})
	call(tab, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "restock-test", AcceptLanguage: language})
	tab.size(1280, 900)
	return tab
}

// heard keeps what went wrong on a page.
func (b *tab) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if strings.HasSuffix(e.Request.URL, "/dashboard/csp-report") {
			b.reports = append(b.reports, e.Request.URL)
		}
	case *page.EventJavascriptDialogOpening:
		b.dialogs = append(b.dialogs, e.Message)
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, e.ExceptionDetails.Text)
	}
}

// wantQuiet complains when a page did what it must not.
func (b *tab) wantQuiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reports)+len(b.dialogs)+len(b.errors) > 0 {
		b.t.Errorf("the browser refused %d things, opened dialogs %q, and scripts failed with %q", len(b.reports), b.dialogs, b.errors)
	}
}

func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%v\nThe page: %s", err, b.where())
	}
}

// do takes steps, within a limit.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, waitMax)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v\nThe page: %s", err, b.where())
	}
}

// where is what the page says now, for complaints.
func (b *tab) where() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return text
}

// eval runs a script in the page.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, waitMax)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return value
}

// size makes the window as wide as a desk's or a phone's.
func (b *tab) size(width, height int64) {
	b.t.Helper()
	const phone = 500
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: width < phone,
	})
}

// theme is light or dark.
func (b *tab) theme(name string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
}

// visit goes to a page and waits until it is there.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.shop.URL()+path), chromedp.WaitReady(chromedp.CSS("main#main")))
}

// text is what is to be read in an element, in one line.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`(document.querySelector(%q)?.innerText ?? "").replace(/\s+/g, " ").trim()`, selector))
}

// until waits until an element says something, without touching the page.
func (b *tab) until(selector, says string) {
	b.t.Helper()
	b.shop.Until(fmt.Sprintf("%s says %q; it says %q", selector, says, b.text(selector)), func() bool {
		return strings.Contains(b.text(selector), says)
	})
}

// fill types into a field of a form as a person does.
func (b *tab) fill(selector, words string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), words))
}

// click clicks what leads to another page, and waits until that is there.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`void (document.body.dataset.old = "1")`), chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
	b.arrived()
}

// arrived waits until the page that was there is another.
func (b *tab) arrived() {
	b.t.Helper()
	b.shop.Until("another page comes", func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, waitMax)
		defer cancel()
		there, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.readyState === "complete" && !document.body.dataset.old`))
		return err == nil && there
	})
}

// signIn signs in as a person does.
func (b *tab) signIn(name, token string) {
	b.t.Helper()
	b.visit("/dashboard/login")
	b.fill("input[name=name]", name)
	b.fill("input[name=token]", token)
	b.click("main button")
	if got := b.text(".person"); !strings.Contains(got, name) {
		b.t.Fatalf("after signing in the page says %q", b.where())
	}
}

// operatorToken is in the data folder.
func operatorToken(t *testing.T, shop *blackbox.Shop) string {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(shop.Data, "operator-token"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(token))
}
