package factory_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/restock/restock/internal/factory"
)

func TestRedactCutsTheTokenInEverySpelling(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ text, want string }{
		{"https://a.example/product/donut?token=" + mark, "https://a.example/product/donut?token=***"},
		{"?x=1&token=" + mark + "&y=2", "?x=1&token=***&y=2"},
		{"?TOKEN=" + strings.ToUpper(mark) + "#f", "?TOKEN=***#f"},
		{"?Token%3D" + mark + " went wrong", "?Token%3D*** went wrong"},
		{"?token%253d" + mark, "?token%253d***"},
		{"?%74oke%6E=" + mark, "?%74oke%6E=***"},
		{"?%2574oken%3d" + mark, "?%2574oken%3d***"},
		{`{"u":"?token\u003d` + mark + `"}`, `{"u":"?token\u003d***"}`},
		{`{"u":"{\"v\":\"?token=` + mark + `\"}"}`, `{"u":"{\"v\":\"?token=***\"}"}`},
		{`{"u":"?token=a\u0061\/` + mark + `"}`, `{"u":"?token=***"}`},
		{"<a href='?token&#61;" + mark + "'>", "<a href='?token&#61;***>"},
		{"?token=a%26" + mark, "?token=***"},
		{"?token=a;b,c" + mark, "?token=***"},
		{"?token=1 and token=2", "?token=*** and token=***"},
		{"?token=", "?token=***"},
		{"no secret here, not even a token", "no secret here, not even a token"},
	} {
		got := factory.Redact(test.text)
		if got != test.want {
			t.Errorf("Redact(%q)\n got %q\nwant %q", test.text, got, test.want)
		}
		if again := factory.Redact(got); again != got {
			t.Errorf("Redact twice: got %q, want %q", again, got)
		}
	}
}

func TestRedactLeavesABodyReadable(t *testing.T) {
	t.Parallel()
	if got := factory.Redact(callbackBody); !json.Valid([]byte(got)) || strings.Contains(got, "abc") {
		t.Errorf("got %s", got)
	}
}
