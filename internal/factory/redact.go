package factory

import (
	"regexp"
	"strings"
	"unicode"
)

// excerptBytesMax is how much of a foreign text is shown to people.
const excerptBytesMax = 200

// redacted stands where a token was. It is no hash of it: a factory's static
// secret may be a short word, and even a short hash would let one guess it.
const redacted = "***"

// tokenPattern finds the name of the query parameter, in any case and with any
// letter percent-encoded any number of times, an equals sign in the spellings of
// URLs, JSON and HTML, and the value. The value ends where a URL's parameter or
// the text around a URL ends; when in doubt too much is cut. A backslash belongs
// to it unless it escapes the quote that ends a string.
var tokenPattern = regexp.MustCompile(`(?i)(` +
	`(?:t|%(?:25)*[57]4)(?:o|%(?:25)*[46]f)(?:k|%(?:25)*[46]b)(?:e|%(?:25)*[46]5)(?:n|%(?:25)*[46]e)` +
	`(?:=|%(?:25)*3d|\\u003d|&#0*61;|&#x0*3d;|&equals;)` +
	`)(?:[^\s"<>&#\\]|\\[^\s"])*`)

// Redact cuts the value of every token query parameter out of a text, be it an
// address, an error, a log line or a body. It leaves the rest as it is, and a
// text that it has been through before.
func Redact(text string) string {
	return tokenPattern.ReplaceAllString(text, "${1}"+redacted)
}

// excerpt gives the beginning of a foreign text as one printable line without a
// token. It cuts first: a token that is cut in two is still found by its name.
func excerpt(text []byte) string {
	cut := text[:min(len(text), excerptBytesMax)]
	line := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(cut), ""))
	return Redact(strings.Join(strings.Fields(line), " "))
}
