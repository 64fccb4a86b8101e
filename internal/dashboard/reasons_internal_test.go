package dashboard

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/restock/restock"
)

func korean() *view { return &view{Language: restock.Korean, words: wordsOf(restock.Korean)} }

func TestAReasonIsReadInTheLanguageOfThePage(t *testing.T) {
	t.Parallel()
	for english, want := range map[string]string{
		"the position 36 is at or below the reorder point 40":                                              "재고 위치 36, 발주점 40 이하",
		"no order because the position -3 is above the reorder point -4":                                   "발주하지 않음: 재고 위치 -3, 발주점 -4 초과",
		"the position 4 is at or below the reorder point 4; it awaits approval because ordering is review": "재고 위치 4, 발주점 4 이하. 승인 필요: 발주 방식이 ‘승인 후’",
		"it costs 70, and of the daily limit 100 of the shop 40 are ordered":                               "금액 70, 가게 전체 하루 한도 100 중 40 이미 발주",
		"it costs 70, and of the daily limit 100 of CP-1 40 are ordered":                                   "금액 70, CP-1 하루 한도 100 중 40 이미 발주",
		"kim ordered by hand: ordering is off":                                                             "kim 님이 직접 발주: ordering is off", // a person's words stay
		"FF-1 refused it: factory refused with 400: 원두 수급 중단":                                              "FF-1에서 거부: factory refused with 400: 원두 수급 중단",
		"FF-1 has not called back in time; ask the factory, since it may still deliver":                    "FF-1에서 제때 콜백이 오지 않음. 공장에 물어보세요. 아직 보낼 수 있습니다",
		"12 more than the 60 that were missing":                                                            "아직 오지 않은 60개보다 12개 많음",
		"the receipt is held, and nobody was told":                                                         "입고가 ‘보류’인데 아무에게도 알리지 않음",
		"29 of 100 came": "100개 중 29개만 옴",
		`it reports product "a b", ordered was "c"`:        `보고한 상품은 "a b", 발주한 상품은 "c"`,
		"the count cannot be relied on: the body is empty": "수량을 믿을 수 없음: 본문이 비어 있음",
	} {
		if got := korean().Said(english); got != (said{Text: want}) {
			t.Errorf("%q is read as %+v, want %q", english, got, want)
		}
		if got := (&view{Language: restock.English}).Said(english); got != (said{Text: english}) {
			t.Errorf("in English %q is read as %+v", english, got)
		}
	}
	if got, want := korean().Said("it is a holiday"), (said{Text: "it is a holiday", English: true}); got != want {
		t.Errorf("a reason that nobody knows is read as %+v, want %+v", got, want)
	}
}

// TestEveryReasonOfTheProgramIsKnownInKorean reads the reasons out of the code
// that writes them down.
func TestEveryReasonOfTheProgramIsKnownInKorean(t *testing.T) {
	t.Parallel()
	found := 0
	for file, functions := range map[string][]string{
		"../replenish/decide.go":    {"Decide", "refusal", "approval", "manualQuantity"},
		"../replenish/judge.go":     {"Judge"},
		"../replenish/unsigned.go":  {"JudgeUnsigned", "unbelieved"},
		"../replenish/chase.go":     {"Overdue"},
		"../store/chase.go":         {"restOver", "closeShort"},
		"../store/people_orders.go": {"RejectOrder", "WriteOffOrder"},
		"../store/receive.go":       {"proveAcceptance", "holdOrphan"},
		"../store/desk.go":          {"verdict", "present", "ads", "adVerdict", "low", "told"},
		"../store/adholds.go":       {"advertisementsOf"},
		"../../advertisement.go":    {"Untold"},
		"../store/verify.go":        {"stockRules", "orderRules", "messageRules", "settingsCheck", "fileCheck"},
	} {
		texts := reasonsIn(t, file, functions)
		if len(texts) == 0 {
			t.Errorf("%s has no reasons", file)
		}
		for _, text := range texts {
			found++
			if got := korean().Said(text); got.English || !strings.ContainsFunc(got.Text, func(r rune) bool { return unicode.Is(unicode.Hangul, r) }) {
				t.Errorf("%s writes down %q, which is read as %q", file, text, got.Text)
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d reasons were found", found)
	}
}

// reasonsIn are the sentences in some functions of a file, with numbers and words
// filled in.
func reasonsIn(t *testing.T, file string, functions []string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !slices.Contains(functions, f.Name.Name) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			literal, ok := n.(*ast.BasicLit)
			if !ok || literal.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if sentence(text) {
				texts = append(texts, filled(text))
			}
			return true
		})
	}
	return texts
}

// sentence tells what a person reads from SQL, and from what is only a part.
func sentence(text string) bool {
	return strings.Count(text, " ") > 1 && !regexp.MustCompile(`SELECT|UPDATE|JOIN|\|\||^[,;]| $`).MatchString(text)
}

func filled(text string) string {
	const ask = "; ask the factory, since it may still deliver"
	text = regexp.MustCompile(`([a-z])%s$`).ReplaceAllString(text, "$1"+ask)
	text = strings.NewReplacer("the %s is", "the order is", "no %s %s", "no receipt %s").Replace(text)
	text = strings.NewReplacer("%v", "EOF", "%d", "7", "%s", "FF-1", "%q", `"x"`).Replace(text)
	if strings.HasPrefix(text, " ") {
		return "FF-1" + text
	}
	return text
}
