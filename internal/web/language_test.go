package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

func TestLanguageOfAcceptLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		headers []string
		want    restock.Language
	}{
		{nil, restock.Korean},
		{[]string{""}, restock.Korean},
		{[]string{"ko"}, restock.Korean},
		{[]string{"en"}, restock.English},
		{[]string{"EN-us"}, restock.English},
		{[]string{"eng"}, restock.Korean}, // not the subtag en
		{[]string{"fr"}, restock.Korean},
		{[]string{"fr, en;q=0.1"}, restock.English},
		{[]string{"*"}, restock.Korean},
		{[]string{"ko, en"}, restock.Korean},
		{[]string{"en, ko"}, restock.English},
		{[]string{"en,ko;q=0.9"}, restock.English},
		{[]string{"en;q=0.8,ko;q=0.9"}, restock.Korean},
		{[]string{"en;q=0.801, ko;q=0.8"}, restock.English},
		{[]string{"ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7"}, restock.Korean},
		{[]string{"en-US,en;q=0.9,ko;q=0.8"}, restock.English},
		{[]string{"en;q=0.1, en-GB;q=0.9, ko;q=0.5"}, restock.English},
		{[]string{"ko;q=0, *"}, restock.English},
		{[]string{"*;q=0.5, ko;q=0.1"}, restock.English},
		{[]string{"*;q=0.5, en;q=0.1"}, restock.Korean},
		{[]string{"en;q=0"}, restock.Korean},
		{[]string{"en;q=0, ko;q=0"}, restock.Korean},
		{[]string{"en ; Q=1.000 , ko ; q=0.999"}, restock.English},
		{[]string{"ko;q=0.5", "en"}, restock.English},
		{[]string{"en;q=2"}, restock.Korean},      // broken items say nothing,
		{[]string{"en;q=1.001"}, restock.Korean},  //
		{[]string{"en;q=0.1234"}, restock.Korean}, //
		{[]string{"en;q=-1"}, restock.Korean},     //
		{[]string{"en;q="}, restock.Korean},       //
		{[]string{"en;x=1"}, restock.Korean},      //
		{[]string{";q=1,,en"}, restock.English},   // the others still do
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header["Accept-Language"] = c.headers
		if got := web.Language(r); got != c.want {
			t.Errorf("Accept-Language %q: %s, want %s", c.headers, got, c.want)
		}
	}
}

func TestAnswerTellsItsLanguage(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Vary", "Origin")
	web.SetLanguage(w, restock.Korean)
	web.SetLanguage(w, restock.English)
	want := http.Header{"Vary": {"Origin", "Accept-Language"}, "Content-Language": {"en"}}
	if diff := cmp.Diff(want, w.Header()); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}
