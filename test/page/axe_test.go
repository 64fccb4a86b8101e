package page

import (
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// axeFiles is what npm installs axe-core from, in exact versions.
//
//go:embed axe
var axeFiles embed.FS

// errNoAxe is that axe-core cannot be had here.
var errNoAxe = errors.New("no axe-core")

// axe is the script of axe-core, from the user's cache, where npm puts it once.
var axe = sync.OnceValues(func() (string, error) {
	files, err := fs.Sub(axeFiles, "axe")
	if err != nil {
		return "", err
	}
	locked, err := fs.ReadFile(files, "package-lock.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	folder := filepath.Join(cache, "restock-test", fmt.Sprintf("axe-%x", sha256.Sum256(locked))[:16])
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(folder+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	script := filepath.Join(folder, "node_modules", "axe-core", "axe.min.js")
	if text, err := os.ReadFile(script); err == nil {
		return string(text), nil
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := fs.ReadFile(files, name)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), text, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	const installTimeout = 2 * time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = folder
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: npm ci: %w\n%s", errNoAxe, err, out)
	}
	text, err := os.ReadFile(script)
	return string(text), err
})

// violation is what axe-core finds.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// TestEveryPageIsAccessible holds every page to axe-core, in both widths and both
// themes, and in both languages.
func TestEveryPageIsAccessible(t *testing.T) {
	t.Parallel()
	script, err := axe()
	if errors.Is(err, errNoAxe) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	shop := openBusy(t, plainWords())
	for _, look := range []struct {
		language, theme string
		width           int64
	}{{"ko", "light", 1280}, {"en", "dark", 390}, {"en", "light", 390}, {"ko", "dark", 1280}} {
		t.Run(fmt.Sprintf("%s-%s-%d", look.language, look.theme, look.width), func(t *testing.T) {
			t.Parallel()
			b := open(t, shop.Shop, look.language)
			b.theme(look.theme)
			b.size(look.width, 900)
			b.visit("/dashboard/login")
			b.accessible(t, script, "login")
			b.signIn("김운영", operatorToken(t, shop.Shop))
			for name, address := range shop.pages() {
				b.visit(address)
				b.accessible(t, script, name)
			}
			// The control: what is wrong is found. It stands where no news of the stream
			// takes it away.
			eval[bool](b, `document.body.append(document.createElement("img"), document.createElement("input")), true`)
			if found := b.violations(script); len(found) < 2 {
				t.Errorf("of a picture without words and a field without a name, %d are found", len(found))
			}
		})
	}
}

// accessible complains of what axe-core finds on the page.
func (b *tab) accessible(t *testing.T, script, name string) {
	t.Helper()
	for _, v := range b.violations(script) {
		t.Errorf("%s: %s (%s): %s, %d times, such as\n%s\n%s", name, v.ID, v.Impact, v.Help, len(v.Nodes), v.Nodes[0].HTML, v.Nodes[0].FailureSummary)
	}
}

func (b *tab) violations(script string) []violation {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](`void (window.axe || (0, eval)(` + string(mustJSON(script)) + `))`))
	return eval[[]violation](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => ({
		ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.map(n => ({HTML: n.html, FailureSummary: n.failureSummary}))})))`)
}

// TestNoPageIsWiderThanAPhone: nothing has to be scrolled aside but what says so.
func TestNoPageIsWiderThanAPhone(t *testing.T) {
	t.Parallel()
	shop := openBusy(t, plainWords())
	for _, language := range []string{"ko", "en"} {
		b := open(t, shop.Shop, language)
		b.size(360, 800)
		b.signIn("Kim", operatorToken(t, shop.Shop))
		for name, address := range shop.pages() {
			b.visit(address)
			if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > 360 {
				t.Errorf("%s in %s is %d wide, because of %s", name, language, wide, eval[string](b, `[...document.querySelectorAll("body *")].filter(e =>
					e.getBoundingClientRect().right > 361 && !e.closest(".scroll, nav ul")).map(e => e.outerHTML.slice(0, 200)).slice(-1).join()`))
			}
		}
	}
}
