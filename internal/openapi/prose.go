package openapi

import (
	"html/template"
	"regexp"
	"strings"
)

// The marks of Markdown that the description uses.
var (
	codeMark   = regexp.MustCompile("`([^`]+)`")
	strongMark = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	softMark   = regexp.MustCompile(`\*([^*]+)\*`)
)

// prose makes HTML of the little Markdown that the description has: paragraphs,
// headings of the second rank, lists, code and emphasis. It escapes all else.
func prose(text string) template.HTML {
	var out strings.Builder
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		switch block = strings.TrimSpace(block); {
		case block == "":
		case strings.HasPrefix(block, "## "):
			out.WriteString("<h2>" + inline(strings.TrimPrefix(block, "## ")) + "</h2>\n")
		case strings.HasPrefix(block, "- "):
			out.WriteString("<ul>\n")
			for item := range strings.SplitSeq(strings.TrimPrefix(block, "- "), "\n- ") {
				out.WriteString("<li>" + inline(item) + "</li>\n")
			}
			out.WriteString("</ul>\n")
		default:
			out.WriteString("<p>" + inline(block) + "</p>\n")
		}
	}
	return template.HTML(out.String()) //nolint:gosec // every text in it is escaped by inline.
}

func inline(text string) string {
	text = template.HTMLEscapeString(strings.Join(strings.Fields(text), " "))
	var out strings.Builder
	for {
		at := codeMark.FindStringSubmatchIndex(text)
		if at == nil {
			return out.String() + emphasis(text)
		}
		out.WriteString(emphasis(text[:at[0]]) + "<code>" + text[at[2]:at[3]] + "</code>")
		text = text[at[1]:]
	}
}

func emphasis(text string) string {
	return softMark.ReplaceAllString(strongMark.ReplaceAllString(text, "<strong>$1</strong>"), "<em>$1</em>")
}
