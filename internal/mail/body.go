package mail

import (
	_ "embed"
	"html/template"
	"strings"
	"unicode"

	"github.com/restock/restock"
)

// Body is what a mail says. Text and HTML are two ways to show the same; the
// HTML needs no file from elsewhere and fits a phone.
type Body struct {
	Language restock.Language
	Tone     Tone
	// Title heads the HTML. Where there is only text, the subject does.
	Title string
	// Paragraphs come first, then Items, Ask, the button and Notes.
	Paragraphs []string
	Items      []Item
	Ask        []string
	Button     Button
	Notes      []string
}

// Tone is the colour in which a mail is seen from afar.
type Tone string

// The tones.
const (
	Plain Tone = ""
	Stop  Tone = "stop"
	Go    Tone = "go"
)

// Item is one of a list: a product, a problem.
type Item struct {
	Title    string
	Lines    []string
	Commands []Command
}

// Command is what a person can type, and what for.
type Command struct{ Name, Line string }

// Button is a link to one act. The zero Button is none.
type Button struct{ Label, URL string }

// signature ends every mail.
const signature = "— restock"

// Text is the body for programs that show no HTML.
func (b Body) Text() string {
	parts := append([]string(nil), b.Paragraphs...)
	for _, item := range b.Items {
		parts = append(parts, item.text())
	}
	parts = append(parts, b.Ask...)
	if b.Button.URL != "" {
		parts = append(parts, b.Button.Label+":\n"+b.Button.URL)
	}
	parts = append(parts, b.Notes...)
	return strings.Join(append(parts, signature), "\n\n") + "\n"
}

func (i Item) text() string {
	lines := append(make([]string, 0, 1+len(i.Lines)+len(i.Commands)), "* "+i.Title)
	for _, line := range i.Lines {
		lines = append(lines, "  "+line)
	}
	for _, c := range i.Commands {
		lines = append(lines, "  "+c.Name+": "+c.Line)
	}
	return strings.Join(lines, "\n")
}

//go:embed body.html
var bodySource string

var bodyTemplate = template.Must(template.New("body").Parse(bodySource))

// HTML is the body for programs that show it.
func (b Body) HTML() string {
	accent := map[Tone]string{Plain: "#3f3f46", Stop: "#b91c1c", Go: "#15803d"}[b.Tone]
	var page strings.Builder
	err := bodyTemplate.Execute(&page, struct {
		Body

		Accent    template.CSS
		Signature string
	}{b, template.CSS(accent), signature}) //nolint:gosec // a constant of ours.
	if err != nil {
		return "" // the text says all of it
	}
	return page.String()
}

// In puts the body into a message.
func (b Body) In(m Message) Message {
	m.Text, m.HTML = b.Text(), b.HTML()
	return m
}

// NameRunesMax is how much of a name a mail shows.
const NameRunesMax = 80

// Name makes the name of a product, or any words of a stranger, fit to stand
// within a sentence: one line, cut with an ellipsis, and nothing that turns the
// words after it around.
func Name(s string) string {
	s = oneLine(s, NameRunesMax)
	if !strings.ContainsFunc(s, rightToLeft) {
		return s
	}
	const isolate, pop = "\u2068", "\u2069" // Unicode, UAX #9: first strong isolate
	return isolate + s + pop
}

func rightToLeft(r rune) bool {
	return unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Adlam)
}

// Sample is a mail for people to look at, under the name of its file.
type Sample struct {
	Name    string
	Message Message
}
