package dashboard

import (
	"fmt"
	"strings"

	"github.com/restock/restock"
)

// words are the texts of one language by their keys. A text with a bar has a
// singular before it and a plural behind it, chosen by its first number.
type words map[string]string

// T gives a text with its numbers and names filled in. They are escaped by the
// template, like everything.
func (v *view) T(key string, args ...any) (string, error) {
	text, ok := v.words[key]
	if !ok {
		return "", fmt.Errorf("there is no text %q", key)
	}
	if one, many, ok := strings.Cut(text, "|"); ok {
		text = many
		if n, ok := first(args); ok && n == 1 {
			text = one
		}
	}
	for i, arg := range args {
		switch n := arg.(type) {
		case int64:
			args[i] = number(n)
		case int:
			args[i] = number(int64(n))
		}
	}
	if len(args) == 0 {
		return text, nil
	}
	return fmt.Sprintf(text, args...), nil
}

func first(args []any) (int64, bool) {
	if len(args) == 0 {
		return 0, false
	}
	switch n := args[0].(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	}
	return 0, false
}

// N is T for a count that stops at most.
func (v *view) N(key string, n, most int64) (string, error) {
	text, err := v.T(key, n)
	return strings.Replace(text, number(n), v.Count(n, most), 1), err
}

// Name gives the text of a value, such as a state, of a kind of values. One that
// has no text is shown as it is.
func (v *view) Name(kind string, value any) string {
	text, ok := v.words[kind+"_"+fmt.Sprint(value)]
	if !ok {
		return fmt.Sprint(value)
	}
	return text
}

func wordsOf(l restock.Language) words {
	chosen := 0
	if l == restock.English {
		chosen = 1
	}
	all := allWords()
	w := make(words, len(all))
	for key, texts := range all {
		w[key] = texts[chosen]
	}
	return w
}
