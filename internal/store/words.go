package store

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/restock/restock"
)

// The limits of the words that find a product.
const (
	wordRunesMax = 40 // of one word
	wordsMax     = 60 // of one product
)

// firstJoined is where the scripts begin that join words without blanks, Hangul
// among them: 부산도너츠 has to be found by 도너츠.
const firstJoined = '\u1100'

// nameWords are the words that find a product.
func nameWords(sku restock.SKU, slug, name string) []string {
	var words []string
	add := func(word []rune) {
		if text := string(word); len(words) < wordsMax && !slices.Contains(words, text) {
			words = append(words, text)
		}
	}
	for _, word := range splitWords(string(sku) + " " + slug + " " + name) {
		runes := []rune(word)
		runes = runes[:min(len(runes), wordRunesMax)]
		add(runes)
		for at := 1; at <= len(runes)-2; at++ {
			if runes[at] >= firstJoined {
				add(runes[at:])
			}
		}
	}
	return words
}

// splitWords gives the words of a text in lower case.
func splitWords(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
}

// rewriteWords brings the words of a product in line with its new names.
func (t *tx) rewriteWords(ctx context.Context, id restock.ProductID, old, wanted []string) error {
	for _, word := range old {
		if slices.Contains(wanted, word) {
			continue
		}
		if _, err := t.Exec(ctx, `DELETE FROM product_words WHERE word = ? AND product_id = ?`, word, id); err != nil {
			return err
		}
	}
	var args []any
	for _, word := range wanted {
		if !slices.Contains(old, word) {
			args = append(args, word, id)
		}
	}
	if len(args) == 0 {
		return nil
	}
	_, err := t.Exec(ctx, `INSERT INTO product_words (word, product_id) VALUES (?, ?)`+strings.Repeat(`, (?, ?)`, len(args)/2-1), args...)
	return err
}
