package dashboard

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/restock/restock"
)

// uses finds the keys of texts in the templates and in the code.
func uses(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	collect := func(file, content string, patterns ...string) {
		for _, pattern := range patterns {
			for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(content, -1) {
				found[m[1]] = file
			}
		}
	}
	templates, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range templates {
		content, err := templateFiles.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		collect(file, string(content), `\.[TN] "([^"]+)"`)
	}
	code, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range code {
		if strings.HasSuffix(file, "_test.go") || file == "texts.go" {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		collect(file, string(content), `\.T\("([^"]+)"`, `d\.text\(r, "([^"]+)"[,)]`, `d\.refuse\(w, r, [^,]+, "([^"]+)"\)`,
			`Problem = "([^"]+)"`, `Title: "([^"]+)"`, `\{"[^"]+", "(span_[^"]+)"`, `"([a-z]+s_ago)"`)
	}
	return found
}

func TestEveryTextIsThereAndIsUsed(t *testing.T) {
	t.Parallel()
	used, all := uses(t), allWords()
	if len(used) < 150 {
		t.Fatalf("only %d uses were found", len(used))
	}
	for key, file := range used {
		if _, ok := all[key]; !ok {
			t.Errorf("%s uses the text %q, which is not there", file, key)
		}
	}
	values := regexp.MustCompile(`^(role|urgency|ordering|state|attempt|cause|receipt|movement|need|hold|mailkind|answer|incident|act|error|done)_`)
	for key := range all {
		if _, ok := used[key]; !ok && !values.MatchString(key) {
			t.Errorf("the text %q is not used", key)
		}
	}
}

func TestATextSaysTheSameInBothLanguages(t *testing.T) {
	t.Parallel()
	for key, texts := range allWords() {
		for _, text := range texts {
			if strings.TrimSpace(text) == "" || strings.Contains(strings.ReplaceAll(text, "%s", ""), "%") {
				t.Errorf("%s: %q", key, text)
			}
		}
		korean := strings.Count(texts[0], "%s")
		for english := range strings.SplitSeq(texts[1], "|") {
			if strings.Count(english, "%s") != korean {
				t.Errorf("%s: %q does not say what %q says", key, texts[0], english)
			}
		}
		if strings.Contains(texts[0], "|") {
			t.Errorf("%s: Korean has no plural: %q", key, texts[0])
		}
	}
}

// TestEveryValueHasAName: what the vocabulary knows is shown in words.
func TestEveryValueHasAName(t *testing.T) {
	t.Parallel()
	values := map[string][]string{
		"role": {string(operator), string(viewer)}, "movement": {"opening", "sale", "receipt", "adjustment", "return"},
		"attempt":  {"sending", "not_sent", "unknown", "accepted", "rejected", "overdue", "received"},
		"receipt":  {"applied", "duplicate", "held", "refused"},
		"cause":    {"low", "import", "manual"},
		"ordering": {"auto", "review", "off"},
		"hold":     {"stopping", "stopped", "resuming", "resumed", "withdrawn"},
		"answer":   {string(restock.AskStop), string(restock.AskResume)},
		"mailkind": {"ad_stop", "ad_stop_reminder", "ad_resume", "ad_resume_reminder", string(restock.MailDigest)},
		"incident": {"queue_old", "relay_stuck", "engine_away", "dead_letters"},
	}
	for _, s := range orderStates() {
		values["state"] = append(values["state"], string(s))
	}
	for _, u := range restock.Urgencies() {
		values["urgency"] = append(values["urgency"], u.String())
	}
	for _, n := range restock.Needs() {
		values["need"] = append(values["need"], string(n))
	}
	all := allWords()
	for kind, names := range values {
		for _, name := range names {
			if _, ok := all[kind+"_"+name]; !ok {
				t.Errorf("%s %q has no name", kind, name)
			}
		}
	}
	// A value that a newer part of the program writes is shown as it is.
	if got := (&view{words: wordsOf(restock.Korean)}).Name("state", "brand_new"); got != "brand_new" {
		t.Errorf("an unknown value is shown as %q", got)
	}
}

// TestEveryActOfTheStoreHasAName: what people did is read in words.
func TestEveryActOfTheStoreHasAName(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../store/*.go")
	if err != nil {
		t.Fatal(err)
	}
	act := regexp.MustCompile(`"((?:ad|database|dead|factory|order|ordering|product|queue|receipt|webhook)\.[a-z_-]+)"`)
	all, found := allWords(), map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range act.FindAllStringSubmatch(string(code), -1) {
			found[m[1]] = true
			if _, ok := all["act_"+m[1]]; !ok {
				t.Errorf("%s: the act %q has no name", file, m[1])
			}
		}
	}
	for key := range all {
		if name, ok := strings.CutPrefix(key, "act_"); ok && !found[name] {
			t.Errorf("nobody does %q", name)
		}
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	v := &view{Language: restock.English, words: wordsOf(restock.English)}
	ko := &view{Language: restock.Korean, words: wordsOf(restock.Korean)}
	say := func(text string, err error) string {
		if err != nil {
			t.Error(err)
		}
		return text
	}
	for got, want := range map[string]string{
		v.Number(int64(1234567)):                               "1,234,567",
		v.Number(0):                                            "0",
		v.Number(int64(-1234)):                                 "−1,234",
		v.Signed(5):                                            "+5",
		v.Count(999, 1000):                                     "999",
		v.Count(1000, 1000):                                    "1,000+",
		v.Money(1990, "KRW"):                                   "1,990 KRW",
		ko.Money(19900, "KRW"):                                 "19,900원",
		v.Money(19905, "EUR"):                                  "199.05 EUR",
		say(v.T("out_of_stock_now", int64(1))):                 "1 product is out of stock.",
		say(v.T("out_of_stock_now", 2)):                        "2 products are out of stock.",
		say(v.N("out_of_stock_now", 1000, 1000)):               "1,000+ products are out of stock.",
		say(ko.N("out_of_stock_now", 1000, 1000)):              "상품 1,000+개가 품절입니다.",
		say(v.T("order_of", int64(1200), restock.SKU("CP-1"))): "1,200 × CP-1",
		say(v.T("chart_words", int64(0), int64(5), int64(3), 1, 1, 1)): "On hand from 0 to 5, now 3. Stockouts: 1. Orders: 1. Arrivals: 1.",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if _, err := v.T("there_is_no_such_text"); err == nil {
		t.Error("a text that is not there is no error")
	}
}
