package mail_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
)

func wholeBody() mail.Body {
	return mail.Body{
		Language: restock.Korean, Tone: mail.Stop, Title: "멈춰 주세요",
		Paragraphs: []string{"First.", "Second."},
		Items: []mail.Item{
			{Title: "Donut (CP-1)", Lines: []string{"sold out"}, Commands: []mail.Command{{"look", "restock ads show 1"}}}, {Title: "Bagel"},
		},
		Ask: []string{"Please stop it."}, Button: mail.Button{Label: "Done", URL: "https://shop.example/?a=1&b=2"}, Notes: []string{"Small print."},
	}
}

func TestABodySaysTheSameInTextAndHTML(t *testing.T) {
	t.Parallel()
	const want = "First.\n\nSecond.\n\n* Donut (CP-1)\n  sold out\n  look: restock ads show 1\n\n* Bagel\n\nPlease stop it.\n\n" +
		"Done:\nhttps://shop.example/?a=1&b=2\n\nSmall print.\n\n— restock\n"
	m := wholeBody().In(english())
	if diff := cmp.Diff(want, m.Text); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	at := 0
	for _, words := range []string{
		`<html lang="ko">`, `name="viewport"`, "<title>멈춰 주세요</title>", "<h1", "멈춰 주세요", "First.", "Second.", "Donut (CP-1)", "sold out",
		"restock ads show 1", "Bagel", "Please stop it.", `href="https://shop.example/?a=1&amp;b=2"`, ">Done<", "Small print.", "— restock",
	} {
		found := strings.Index(m.HTML[at:], words)
		if found < 0 {
			t.Errorf("after %d bytes there is no %q in %s", at, words, m.HTML)
			continue
		}
		at += found + len(words)
	}
	parts := readMail(t, compose(t, m)).Parts
	if diff := cmp.Diff(map[string]string{"text/plain": m.Text, "text/html": m.HTML}, parts); diff != "" {
		t.Errorf("as it is sent (-want +got):\n%s", diff)
	}
}

func TestABodyMayBeShort(t *testing.T) {
	t.Parallel()
	b := mail.Body{Title: "Hello", Paragraphs: []string{"There is nothing else."}}
	if got, want := b.Text(), "There is nothing else.\n\n— restock\n"; got != want {
		t.Errorf("text %q, want %q", got, want)
	}
	if html := b.HTML(); strings.Contains(html, "<a ") || strings.Contains(html, "<code") || !strings.Contains(html, `lang="en"`) {
		t.Errorf("HTML %s", html)
	}
}

func TestStrangersWordsAreWordsInHTMLToo(t *testing.T) {
	t.Parallel()
	plain := strings.Count(wholeBody().HTML(), "<")
	for _, evil := range []string{"<script>alert(1)</script>", `"><img src=x>`, "</style></div>", "{{.}}", "&lt;b&gt;"} {
		b := wholeBody()
		b.Title, b.Paragraphs[0], b.Ask[0], b.Notes[0], b.Button.Label = evil, evil, evil, evil, evil
		b.Items[0] = mail.Item{Title: evil, Lines: []string{evil}, Commands: []mail.Command{{evil, evil}}}
		if got := strings.Count(b.HTML(), "<"); got != plain {
			t.Errorf("%q makes %d elements, want %d:\n%s", evil, got, plain, b.HTML())
		}
	}
	b := wholeBody()
	b.Button.URL = "javascript:alert(1)"
	if html := b.HTML(); strings.Contains(html, "javascript:") {
		t.Errorf("a link that acts: %s", html)
	}
}

func TestANameFitsIntoASentence(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"부산도너츠":                           "부산도너츠",
		"a\r\nBcc: x@evil.example":        "a Bcc: x@evil.example",
		strings.Repeat("도", 10_000):       strings.Repeat("도", mail.NameRunesMax-1) + "…",
		"\u202etunod\u2066 \u200f":        "tunod",
		"דונאט":                           "\u2068דונאט\u2069",
		"דונאט\u2069\u2069":               "\u2068דונאט\u2069",
		"\x00\u2028":                      "",
		"  two   blanks ":                 "two blanks",
		"\xff":                            "\uFFFD",
		`"quotes" & <angles>`:             `"quotes" & <angles>`,
		"cook \U0001F469\u200d\U0001F373": "cook \U0001F469\u200d\U0001F373", // its joiner stays
	} {
		if got := mail.Name(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}
