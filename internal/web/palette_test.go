package web_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/restock/restock/internal/web"
)

// TestEveryColourOfAStyleIsInThePalette: a property that nobody sets is no error
// in a browser, only ink on ink.
func TestEveryColourOfAStyleIsInThePalette(t *testing.T) {
	t.Parallel()
	used := regexp.MustCompile(`var\((--[a-z-]+)\)`)
	for _, file := range []string{"../dashboard/static/dashboard.css", "../openapi/page.css"} {
		style, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sheet := string(web.Palette(style))
		found := used.FindAllStringSubmatch(sheet, -1)
		if len(found) == 0 {
			t.Errorf("%s uses no colour", file)
		}
		for _, m := range found {
			if !strings.Contains(sheet, "\n  "+m[1]+":") {
				t.Errorf("%s uses %s, which is nowhere", file, m[1])
			}
		}
	}
}
