package ads_test

import (
	"bytes"
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	restockmail "github.com/restock/restock/internal/mail"
)

// withoutLink takes the links out of a text; what they carry is random.
func withoutLink(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "https://shop.example"+ads.AnswerPath+"?token=") {
			lines[i] = "LINK"
		}
	}
	return strings.Join(lines, "\n")
}

func TestTheMailsInKorean(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	a := k.order()
	k.drain()
	k.clock.advance(10 * time.Minute)
	k.arrive(a)
	k.drain()
	mails := k.box.sent()
	if len(mails) != 2 {
		t.Fatalf("%d mails, want 2", len(mails))
	}
	want := []restockmail.Message{
		{
			ID: mails[0].ID, From: "shop@donut.example", ReplyTo: "ops@donut.example", To: "ads@donut.example", Kind: ads.KindStop,
			Date:    time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC),
			Subject: "광고 중지 요청: donut-main (부산도너츠 품절)",
			Text: "부산도너츠 (CP-1) 상품이 2026년 3월 1일 09:30 KST부터 품절입니다.\n\n" +
				"10개가 발주되어 있으며 2026년 3월 1일 09:30 KST 입고 예정입니다.\n\n" +
				"광고 donut-main을(를) 중지해 주세요. 다시 시작할 수 있게 되면 바로 알려 드리겠습니다.\n\n" +
				"중지했습니다:\nLINK\n\n" +
				"처리하신 뒤 위의 링크를 열고 버튼을 한 번 눌러 주세요. 로그인은 필요 없으며, 링크는 2026년 3월 15일 09:30 KST까지 쓸 수 있습니다.\n\n" +
				"이 메일에 답장하시면 운영팀이 받습니다.\n\n— restock\n",
		},
		{
			ID: mails[1].ID, From: "shop@donut.example", ReplyTo: "ops@donut.example", To: "ads@donut.example", Kind: ads.KindResume,
			InReplyTo: mails[0].ID, Date: time.Date(2026, 3, 1, 0, 40, 0, 0, time.UTC),
			Subject: "광고 재개 가능: donut-main (부산도너츠 재입고)",
			Text: "부산도너츠 (CP-1) 상품이 2026년 3월 1일 09:40 KST부터 다시 판매되고 있습니다.\n\n" +
				"광고 donut-main을(를) 다시 시작하셔도 됩니다.\n\n" +
				"다시 시작했습니다:\nLINK\n\n" +
				"처리하신 뒤 위의 링크를 열고 버튼을 한 번 눌러 주세요. 로그인은 필요 없으며, 링크는 2026년 3월 15일 09:40 KST까지 쓸 수 있습니다.\n\n" +
				"이 메일에 답장하시면 운영팀이 받습니다.\n\n— restock\n",
		},
	}
	for i := range mails {
		if !strings.HasPrefix(mails[i].ID, mails[i].Kind+".") || !strings.HasSuffix(mails[i].ID, "@donut.example") {
			t.Errorf("Message-ID %q", mails[i].ID)
		}
		if !strings.Contains(mails[i].HTML, `lang="ko"`) {
			t.Errorf("HTML %q", mails[i].HTML)
		}
		mails[i].Text, mails[i].HTML = withoutLink(mails[i].Text), ""
	}
	if diff := cmp.Diff(want, mails); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

func TestTheMailsInEnglish(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.English, nil)
	k.drain()
	k.pass(time.Hour)
	k.arrive(k.order())
	k.drain()
	k.pass(time.Hour)
	var got []string
	for _, m := range k.box.sent() {
		got = append(got, m.Subject, withoutLink(m.Text))
	}
	const (
		stop = "부산도너츠 (CP-1) has been sold out since 1 March 2026, 09:30 KST.\n\nNothing is on order yet.\n\n" +
			"Please stop the advertisement donut-main. We will write again as soon as it can resume.\n\nI have stopped it:\nLINK\n\n"
		resume = "부산도너츠 (CP-1) has been available again since 1 March 2026, 10:30 KST.\n\nThe advertisement donut-main can resume.\n\n" +
			"I have resumed it:\nLINK\n\n"
		again  = "We have not heard from you, so we write once more.\n\n"
		notice = "When it is done, open the link above and press its one button. There is no login, and the link is good until "
		end    = ".\n\nReplies to this mail reach operations.\n\n— restock\n"
	)
	want := []string{
		"Please stop the advertisement donut-main: 부산도너츠 is sold out", stop + notice + "15 March 2026, 09:30 KST" + end,
		"Re: Please stop the advertisement donut-main: 부산도너츠 is sold out", again + stop + notice + "15 March 2026, 10:30 KST" + end,
		"The advertisement donut-main can resume: 부산도너츠 is back", resume + notice + "15 March 2026, 10:30 KST" + end,
		"Re: The advertisement donut-main can resume: 부산도너츠 is back", again + resume + notice + "15 March 2026, 11:30 KST" + end,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNothingOnOrderIsSaidInKoreanToo(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	k.drain()
	if text := k.box.sent()[0].Text; !strings.Contains(text, "아직 발주된 수량이 없습니다.") {
		t.Errorf("text %q", text)
	}
}

func TestALongListOfProductsIsCut(t *testing.T) {
	t.Parallel()
	for _, language := range []restock.Language{restock.Korean, restock.English} {
		k := soldOut(t, language, func(c *restock.Catalog) {
			for _, sku := range []restock.SKU{"B", "C", "D", "E", "F", "G"} {
				p := c.Products[0]
				p.SKU, p.Name = sku, "Donut "+string(sku)
				c.Products = append(c.Products, p)
			}
		})
		k.drain()
		text := k.box.sent()[0].Text
		more := map[restock.Language]string{restock.Korean: "그 밖의 상품 2개.", restock.English: "And 2 more."}[language]
		if strings.Count(text, "\n* ") != restock.AdProductsMax || !strings.Contains(text, more) {
			t.Errorf("text %q, want %d products and %q", text, restock.AdProductsMax, more)
		}
	}
}

// strangeNames is what a catalogue may hold.
func strangeNames() []string {
	return []string{
		"donut\r\nBcc: everybody@donut.example\r\n\r\nbody", "main\nX-Injected: yes", "<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`,
		"</style><b>", `"quoted" 'name' & co; \ `, "\u202egnp.tunod", "\u2066\u2067\u200f", "דונאט", "=?utf-8?q?=0d=0aBcc:x?=",
		"{{.Token}}", "${x}", "\x00\x1b[2J", "\xff\xfe", strings.Repeat("도", 3333), strings.Repeat("A", restock.NameLenMax), "🍩‍👩‍🍳",
	}
}

// FuzzNames shows that the names of a catalogue break no mail and no page: no
// header more, no element more, nothing that turns the words around it, and none
// of endless length.
func FuzzNames(f *testing.F) {
	for _, name := range strangeNames() {
		f.Add(name, name, name)
	}
	cfg := config(f, time.Now)
	plain := map[restock.Language][]face{}
	for _, language := range []restock.Language{restock.Korean, restock.English} {
		plain[language] = faces(f, cfg, language, "Donut", "CP-1", "donut-main")
	}
	f.Fuzz(func(t *testing.T, product, sku, ad string) {
		for language, plain := range plain {
			for i, face := range faces(t, cfg, language, product, sku, ad) {
				if fault := face.fault(plain[i]); fault != "" {
					t.Errorf("%q, %q, %q: %s: %s", product, sku, ad, face.name, fault)
				}
			}
		}
	})
}

// face is a mail or a page as its reader sees it.
type face struct {
	name    string
	headers map[string]int
	html    string
	text    string
}

// faces makes all mails and pages about one product.
func faces(t testing.TB, cfg ads.Config, language restock.Language, product, sku, ad string) []face {
	t.Helper()
	var all []face
	for _, m := range ads.MailsAbout(cfg, language, product, sku, ad) {
		raw, err := restockmail.Bytes(m)
		if err != nil {
			t.Fatalf("%s cannot be sent: %v", m.Kind, err)
		}
		parsed, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s cannot be read: %v", m.Kind, err)
		}
		headers := map[string]int{}
		for name, values := range parsed.Header {
			headers[name] = len(values)
		}
		all = append(all, face{m.Kind, headers, m.HTML, m.Subject + "\n" + m.Text})
	}
	for _, page := range ads.PagesAbout(language, product, sku, ad) {
		all = append(all, face{name: page.Name, html: page.HTML})
	}
	return all
}

// fault compares a face with the same of harmless names.
func (f face) fault(plain face) string {
	const shown = 20 * restockmail.NameRunesMax // a name stands in a mail several times
	switch {
	case !cmp.Equal(f.headers, plain.headers):
		return "other headers: " + cmp.Diff(plain.headers, f.headers)
	case strings.Count(f.html, "<") != strings.Count(plain.html, "<") || strings.Count(f.html, ">") != strings.Count(plain.html, ">"):
		return "other elements: " + f.html
	case strings.ContainsFunc(f.text+f.html, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }):
		return "control characters"
	case strings.ContainsAny(f.text+f.html, "\u202a\u202b\u202d\u202e\u2066\u2067\u200e\u200f\u061c"):
		return "words that turn others around"
	case strings.Count(f.text+f.html, "\u2068") != strings.Count(f.text+f.html, "\u2069"):
		return "an isolate that does not end"
	case len([]rune(f.text)) > len([]rune(plain.text))+shown:
		return "it is too long"
	}
	return ""
}

func TestAMailWithStrangeNamesIsWrittenAndCanBeRead(t *testing.T) {
	t.Parallel()
	names := strangeNames()
	k := soldOut(t, restock.English, func(c *restock.Catalog) {
		for i, name := range names {
			p := c.Products[0]
			p.SKU, p.Name, p.Slug = restock.SKU(fmt.Sprint(i)+name), name, fmt.Sprint("strange-", i)
			p.Advertisement = fmt.Sprint(i) + name
			c.Products = append(c.Products, p)
			c.Advertisements = append(c.Advertisements, restock.CatalogAdvertisement{Name: p.Advertisement, ManagerEmail: "ads@donut.example"})
		}
	})
	folder := t.TempDir()
	files, err := restockmail.Open("file:"+folder, restockmail.Config{})
	k.must(err)
	k.desk = ads.New(k.store, files, config(t, k.clock.now))
	k.drain()
	paths, err := filepath.Glob(filepath.Join(folder, "*.eml"))
	if err != nil || len(paths) != 1+len(names) {
		t.Fatalf("%d mails, %v, want %d", len(paths), err, 1+len(names))
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		k.must(err)
		if _, err := mail.ReadMessage(bytes.NewReader(content)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
