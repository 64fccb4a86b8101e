package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/restock/restock"
)

// Language is the language in which a caller wants to be answered: English when
// Accept-Language (RFC 9110, section 12.5.4) prefers it, else Korean. Of two
// that are wanted equally, the one named first wins.
func Language(r *http.Request) restock.Language {
	var ko, en, other preference
	position := 0
	for _, header := range r.Header["Accept-Language"] {
		for item := range strings.SplitSeq(header, ",") {
			tag, quality, ok := parseLanguageRange(item)
			if !ok {
				continue
			}
			position++
			found := preference{quality: quality, position: position}
			switch {
			case isLanguage(tag, restock.Korean):
				ko = ko.or(found)
			case isLanguage(tag, restock.English):
				en = en.or(found)
			case tag == "*":
				other = other.or(found)
			}
		}
	}
	// The wildcard stands for what was not named.
	if en.orElse(other).over(ko.orElse(other)) {
		return restock.English
	}
	return restock.Korean
}

// SetLanguage says in which language the answer is, and that another
// Accept-Language would get another answer.
func SetLanguage(w http.ResponseWriter, language restock.Language) {
	const name = "Accept-Language"
	h := w.Header()
	h.Set("Content-Language", string(language))
	if !slices.Contains(h["Vary"], name) {
		h.Add("Vary", name)
	}
}

// preference is how much a language is wanted. Position 0 means not named.
type preference struct {
	quality  int // in thousandths
	position int // counted from 1
}

// or keeps the stronger of two ranges for one language, such as en-GB and en.
func (p preference) or(q preference) preference {
	if p.position == 0 || q.over(p) {
		return q
	}
	return p
}

func (p preference) orElse(q preference) preference {
	if p.position == 0 {
		return q
	}
	return p
}

func (p preference) over(q preference) bool {
	if p.quality != q.quality {
		return p.quality > q.quality
	}
	return p.quality > 0 && p.position < q.position
}

func isLanguage(tag string, language restock.Language) bool {
	primary, _, _ := strings.Cut(tag, "-")
	return strings.EqualFold(primary, string(language))
}

// parseLanguageRange reads one item, such as "en-US;q=0.8". An item that breaks
// the grammar is skipped alone: the rest of the header still says something.
func parseLanguageRange(item string) (string, int, bool) {
	tag, weight, weighted := strings.Cut(item, ";")
	tag = strings.Trim(tag, " \t")
	if tag == "" {
		return "", 0, false
	}
	if !weighted {
		return tag, qualityMax, true
	}
	weight = strings.Trim(weight, " \t")
	if len(weight) < len("q=0") || !strings.EqualFold(weight[:2], "q=") {
		return "", 0, false
	}
	quality, ok := parseQuality(weight[2:])
	return tag, quality, ok
}

const (
	qualityMax     = 1000
	qualityTextLen = len("0.000")
)

// parseQuality reads 0, 0.5, 1 or 1.000 as thousandths, with at most three
// digits after the point.
func parseQuality(s string) (int, bool) {
	if s == "" || len(s) > qualityTextLen || (s[0] != '0' && s[0] != '1') {
		return 0, false
	}
	if len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	quality, unit := int(s[0]-'0')*qualityMax, qualityMax
	for _, digit := range []byte(s[min(len(s), len("0.")):]) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		unit /= 10
		quality += int(digit-'0') * unit
	}
	return quality, quality <= qualityMax
}
