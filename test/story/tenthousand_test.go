package story_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	_ "github.com/ncruces/go-sqlite3/driver" // registers "sqlite3"
	"github.com/restock/restock/test/contract"
	"golang.org/x/sync/errgroup"
)

const (
	purchasesFull  = 10_000
	purchasesQuick = purchasesFull / 10
	clients        = 16
	assortment     = 24 // products
	linesMost      = 4  // of one cart
	quantityMost   = 3  // of one line
	// quietTimeout is how long the last orders may take to arrive.
	quietTimeout = 5 * time.Minute
)

// TestTenThousandPurchases sells a whole assortment to many clients at once,
// with two factories in processes of their own, and then holds four books
// against each other: what the clients were told, the sales, the ledger, and
// what the factories took.
func TestTenThousandPurchases(t *testing.T) {
	t.Parallel()
	purchases := purchasesQuick
	if os.Getenv(fullVariable) == "1" {
		purchases = purchasesFull
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d purchases", seed, purchases)

	town := openTown(t)
	log := town.buy(t, purchases, seed)
	town.awaitQuiet(t)
	log.report(t, purchases)

	town.verify(t)
	books := town.open(t)
	books.wantSales(t, log)
	books.wantLedger(t, log)
	books.wantStock(t, town)
	books.wantReceipts(t, town)
	books.wantMails(t, town)
	town.stopServer(t)
	books.wantRefusals(t, town, log)
}

// town is the shop with its two factories.
type town struct {
	shop      *process
	factories [2]*process
	data      string
	operator  operator
}

func openTown(t *testing.T) *town {
	t.Helper()
	dir := t.TempDir()
	town := &town{data: filepath.Join(dir, "data")}
	for i := range town.factories {
		name := fmt.Sprintf("factory-%d.log", i)
		town.factories[i] = town.start(t, filepath.Join(dir, name), "factory", "--listen", "127.0.0.1:0", "--lead-time", "100ms")
		t.Cleanup(func() { stopped(t, town.factories[i]) })
	}
	catalog := writeFile(t, filepath.Join(dir, "catalog.yaml"), town.catalog())
	town.shop = town.start(t, filepath.Join(dir, "server.log"),
		"serve", "--listen", "127.0.0.1:0", "--data", town.data, "--catalog", catalog, "--log-level", "warn", "--sweep-interval", "1s", "--ad-spacing", "1ms", "--callback-window", "24h")
	t.Cleanup(func() { town.stopServer(t) })
	if err := town.shop.awaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	var err error
	if town.operator, err = newOperator(town.data); err != nil {
		t.Fatal(err)
	}
	return town
}

func (*town) start(t *testing.T, log string, args ...string) *process {
	t.Helper()
	p, err := start(t.Context(), log, filepath.Dir(log), userEnvironment(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func stopped(t *testing.T, p *process) {
	t.Helper()
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

func (town *town) stopServer(t *testing.T) {
	t.Helper()
	if town.shop != nil {
		stopped(t, town.shop)
		town.shop = nil
	}
}

func skuOf(i int) string { return fmt.Sprintf("P-%02d", i) }

func priceOf(i int) int64 { return int64(1000 + 37*i) }

func openingOf(i int) int64 { return int64(100 + i) }

// catalog is the assortment. A third of it is ordered scarcely, so that
// there are stockouts and refusals.
func (town *town) catalog() string {
	var b strings.Builder
	fmt.Fprintf(&b, "default_product: %s\nfactories:\n", skuOf(0))
	for i, f := range town.factories {
		fmt.Fprintf(&b, "  - {identifier: FF-%d, url: %q, lead_time: 1s, max_in_flight: 8, rate_per_second: 500}\n", i, f.url+"/api/manufactures")
	}
	b.WriteString("advertisements:\n  - {name: ad-0, manager_email: ads0@donut.example, stop_when: any}\n  - {name: ad-1, manager_email: ads1@donut.example, language: en, stop_when: any}\nproducts:\n")
	for i := range assortment {
		ordering := "reorder_point: 500, order_up_to: 2000"
		if i%3 == 2 {
			ordering = "order_quantity: 40"
		}
		fmt.Fprintf(&b, "  - {sku: %s, name: Product %d, price: %d, opening_stock: %d, factory: FF-%d, advertisement: ad-%d, %s}\n",
			skuOf(i), i, priceOf(i), openingOf(i), i%2, i/2%2, ordering)
	}
	return b.String()
}

// clientLog is what the clients asked for and were told.
type clientLog struct {
	sales    []sale
	refusals []refusal
}

type refusal struct {
	SKU       string `json:"sku"`
	Remaining int64  `json:"remaining"`
}

func (l *clientLog) report(t *testing.T, purchases int) {
	t.Helper()
	t.Logf("%d sold, %d refused", len(l.sales), len(l.refusals))
	if len(l.sales)+len(l.refusals) != purchases || len(l.sales) == 0 || len(l.refusals) == 0 {
		t.Errorf("%d sales and %d refusals, want some of both and %d in all", len(l.sales), len(l.refusals), purchases)
	}
}

// buy sends the purchases from many clients at once, each once: who gets no
// answer fails the test.
func (town *town) buy(t *testing.T, purchases int, seed uint64) *clientLog {
	t.Helper()
	logs := make([]clientLog, clients)
	group, ctx := errgroup.WithContext(t.Context())
	for c := range clients {
		group.Go(func() error {
			b := buyer{
				url: town.shop.url + "/checkout", random: rand.New(rand.NewPCG(seed, uint64(c))),
				kept: contract.Sampled(t, &http.Transport{MaxIdleConnsPerHost: 1}), log: &logs[c],
			}
			defer b.kept.CloseIdleConnections()
			for n := c; n < purchases; n += clients {
				if err := b.buy(ctx, fmt.Sprintf("web-%d", n)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	whole := &clientLog{}
	for _, l := range logs {
		whole.sales = append(whole.sales, l.sales...)
		whole.refusals = append(whole.refusals, l.refusals...)
	}
	return whole
}

// buyer is one client.
type buyer struct {
	url    string
	random *rand.Rand
	kept   *contract.Transport
	log    *clientLog
}

// buy makes one purchase and writes down what came of it.
func (b *buyer) buy(ctx context.Context, reference string) error {
	asked, body := b.choose(reference)
	header := http.Header{}
	if body != nil {
		header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl -d has it
	}
	send := ask // on a connection of its own, as curl does
	if b.random.IntN(4) > 0 {
		send = func(ctx context.Context, method, url string, header http.Header, body io.Reader) (answer, error) {
			return askBy(ctx, b.kept, method, url, header, body)
		}
	}
	a, err := send(ctx, http.MethodPost, b.url, header, body)
	if err != nil {
		return err
	}
	return b.note(asked, reference, a)
}

// choose fills a cart: none at all, one product, or several. A product may be on
// two lines.
func (b *buyer) choose(reference string) ([]saleLine, io.Reader) {
	// Products at the front are wanted more than those at the back.
	line := func() saleLine {
		i := int(float64(assortment) * b.random.Float64() * b.random.Float64())
		return saleLine{SKU: skuOf(i), Quantity: b.random.Int64N(quantityMost) + 1, UnitPrice: priceOf(i)}
	}
	switch b.random.IntN(8) {
	case 0:
		return []saleLine{{SKU: skuOf(0), Quantity: 1, UnitPrice: priceOf(0)}}, nil
	case 1, 2, 3:
		l := line()
		return []saleLine{l}, strings.NewReader(fmt.Sprintf(`{"sku":%q,"quantity":%d,"reference":%q}`, l.SKU, l.Quantity, reference))
	}
	var lines []saleLine
	var items []string
	for range b.random.IntN(linesMost) + 1 {
		l := line()
		lines = append(lines, l)
		items = append(items, fmt.Sprintf(`{"sku":%q,"quantity":%d}`, l.SKU, l.Quantity))
	}
	return lines, strings.NewReader(fmt.Sprintf(`{"items":[%s],"reference":%q}`, strings.Join(items, ","), reference))
}

func (b *buyer) note(asked []saleLine, reference string, a answer) error {
	switch a.status {
	case http.StatusOK:
		var s sale
		if err := a.read(&s); err != nil {
			return err
		}
		b.log.sales = append(b.log.sales, s)
		return checkSale(asked, reference, s)
	case http.StatusConflict:
		var r refusal
		if err := json.Unmarshal(a.body, &r); err != nil {
			return fmt.Errorf("reading %s: %w", a.body, err)
		}
		b.log.refusals = append(b.log.refusals, r)
		return checkRefusal(asked, r)
	default:
		return fmt.Errorf("%s: answered %d %s", reference, a.status, a.body)
	}
}

// checkSale holds an answer against what was asked for.
func checkSale(asked []saleLine, reference string, s sale) error {
	var total int64
	sold := slices.Clone(s.Lines)
	for i := range sold {
		total += sold[i].Quantity * sold[i].UnitPrice
		sold[i].Remaining = 0
	}
	if s.Reference != "" && s.Reference != reference {
		return fmt.Errorf("the answer to %s is that to %s", reference, s.Reference)
	}
	if diff := gocmp.Diff(sold, asked); diff != "" || total != s.Total {
		return fmt.Errorf("%s: sold %+v for %d (-got +want)\n%s", reference, s.Lines, s.Total, diff)
	}
	if want := fmt.Sprintf("구매 완료! 남은 재고: %d", s.Lines[0].Remaining); s.Message != want {
		return fmt.Errorf("%s: %q, want %q", reference, s.Message, want)
	}
	return nil
}

// checkRefusal: who is refused asked for more than there was.
func checkRefusal(asked []saleLine, r refusal) error {
	var units int64
	for _, l := range asked {
		if l.SKU == r.SKU {
			units += l.Quantity
		}
	}
	if units <= r.Remaining {
		return fmt.Errorf("refused %d of %s although %d remain", units, r.SKU, r.Remaining)
	}
	return nil
}

// awaitQuiet waits until nothing is under way: no message, no order, no
// conversation with an ad manager.
func (town *town) awaitQuiet(t *testing.T) {
	t.Helper()
	err := until(t.Context(), quietTimeout, func(ctx context.Context) error {
		a, err := town.operator.get(ctx, "/v1/status")
		if err != nil {
			return err
		}
		var s struct {
			Orders  map[string]int64 `json:"open_orders"`
			AdHolds map[string]int64 `json:"ad_holds"`
		}
		if err := a.read(&s); err != nil {
			return err
		}
		if len(s.Orders)+len(s.AdHolds) > 0 {
			return fmt.Errorf("orders %v and ad holds %v are open", s.Orders, s.AdHolds)
		}
		return noneUnderWay(a.body)
	})
	if err != nil {
		t.Fatalf("it does not come to rest: %v\n%s", err, town.shop.logged())
	}
}

// verify runs restock verify beside the running server.
func (town *town) verify(t *testing.T) {
	t.Helper()
	command := exec.CommandContext(t.Context(), binary(), "verify", "--data", town.data)
	command.Env = userEnvironment()
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("restock verify: %v\n%s", err, output)
	}
}

// books is all that the operator's API tells.
type books struct {
	products  []product
	sales     []sale
	movements []movement // the oldest first
	orders    []replenishment
	receipts  []receipt
	stockouts []stockout
}

func (town *town) open(t *testing.T) *books {
	t.Helper()
	b := &books{
		products: read[product](t, town, "/v1/products"), sales: read[sale](t, town, "/v1/sales"),
		movements: read[movement](t, town, "/v1/movements"), orders: read[replenishment](t, town, "/v1/replenishment-orders"),
		receipts: read[receipt](t, town, "/v1/receipts"), stockouts: read[stockout](t, town, "/v1/stockouts"),
	}
	slices.Reverse(b.movements)
	return b
}

func read[T any](t *testing.T, town *town, path string) []T {
	t.Helper()
	items, err := all[T](t.Context(), town.operator, path)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// wantSales: every sale that a client was told is in the book as it was told,
// and there is no other.
func (b *books) wantSales(t *testing.T, log *clientLog) {
	t.Helper()
	sorted := func(sales []sale) []sale {
		sales = slices.Clone(sales)
		for i := range sales {
			sales[i].Message = ""
		}
		slices.SortFunc(sales, func(a, b sale) int { return cmp.Compare(a.ID, b.ID) })
		return sales
	}
	if diff := gocmp.Diff(sorted(b.sales), sorted(log.sales)); diff != "" {
		t.Errorf("/v1/sales differs from what the clients were told (-got +want)\n%s", diff)
	}
	if diff := gocmp.Diff(sumSales(b.sales), sumSales(log.sales)); diff != "" {
		t.Errorf("takings by /v1/sales (-got +want)\n%s", diff)
	}
}

// level is a piece on the shelf, named by how many are left once it is gone. As
// the shelf is filled again and again, each level is sold many times.
type level struct {
	SKU  string
	Left int64
}

// wantLedger: each movement follows from the one before, and the pieces that the
// ledger says were sold are, one by one, those that the buyers were told they
// got. How many sales one movement sums up makes no difference to that.
func (b *books) wantLedger(t *testing.T, log *clientLog) {
	t.Helper()
	onHand := map[string]int64{}
	got, want := map[level]int{}, map[level]int{}
	for _, m := range b.movements {
		onHand[m.SKU] += m.Quantity
		if m.OnHandAfter != onHand[m.SKU] || m.OnHandAfter < 0 {
			t.Errorf("movement %d of %s leaves %d on hand, the movements add up to %d", m.ID, m.SKU, m.OnHandAfter, onHand[m.SKU])
		}
		if m.Kind == "sale" {
			sell(got, m.SKU, -m.Quantity, m.OnHandAfter)
		}
	}
	for _, s := range log.sales {
		// A product on two lines is told twice what remains after both.
		for sku, l := range merged(s.Lines) {
			sell(want, sku, l.Quantity, l.Remaining)
		}
	}
	if diff := gocmp.Diff(got, want); diff != "" {
		t.Errorf("the pieces sold by the ledger differ from what the clients were told (-got +want)\n%s", diff)
	}
}

func merged(lines []saleLine) map[string]saleLine {
	bySKU := map[string]saleLine{}
	for _, l := range lines {
		l.Quantity += bySKU[l.SKU].Quantity
		bySKU[l.SKU] = l
	}
	return bySKU
}

// sell counts the pieces of one step down to what was left.
func sell(levels map[level]int, sku string, quantity, left int64) {
	for i := range quantity {
		levels[level{sku, left + i}]++
	}
}

// wantStock: on hand is opening + received − sold, by the clients' own log, and
// that is what the shop's page says remains.
func (b *books) wantStock(t *testing.T, town *town) {
	t.Helper()
	if len(b.products) != assortment {
		t.Errorf("%d products, want %d", len(b.products), assortment)
	}
	received := b.received()
	sold := sumSales(b.sales)
	for i, p := range b.products {
		want := openingOf(i) + received[p.SKU] - sold[p.SKU].Units
		if p.Stock.OnHand != want || p.Stock.Reserved != 0 || p.Stock.OnOrder != 0 {
			t.Errorf("%s: stock %+v, want %d on hand: opening %d, received %d, sold %d",
				p.SKU, p.Stock, want, openingOf(i), received[p.SKU], sold[p.SKU].Units)
		}
		wantStock(t, town.shop, p.SKU, strconv.FormatInt(want, 10))
	}
}

func (b *books) received() map[string]int64 {
	sums := map[string]int64{}
	for _, r := range b.receipts {
		sums[r.SKU] += r.Applied
	}
	return sums
}

// wantReceipts: what arrived is what was ordered and what the factories say they
// took, no more and no less.
func (b *books) wantReceipts(t *testing.T, town *town) {
	t.Helper()
	ordered, moved := map[string]int64{}, map[string]int64{}
	for _, o := range b.orders {
		if o.State != "received" || o.Received != o.Quantity {
			t.Errorf("order %s of %s is %s: %d of %d", o.ID, o.SKU, o.State, o.Received, o.Quantity)
		}
		ordered[o.SKU] += o.Quantity
	}
	for _, m := range b.movements {
		if m.Kind == "receipt" {
			moved[m.SKU] += m.Quantity
		}
	}
	for name, sums := range map[string]map[string]int64{"receipts": b.received(), "movements": moved, "factories": town.accepted(t)} {
		if diff := gocmp.Diff(sums, ordered); diff != "" {
			t.Errorf("received by the %s differs from what was ordered (-got +want)\n%s", name, diff)
		}
	}
}

// accepted adds up the orders in the factories' logs.
func (town *town) accepted(t *testing.T) map[string]int64 {
	t.Helper()
	sums := map[string]int64{}
	for _, f := range town.factories {
		text, err := os.ReadFile(f.log.Name())
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			facts := factsOf(lines.Text())
			if !strings.Contains(lines.Text(), "order accepted") {
				continue
			}
			count, err := strconv.ParseInt(facts["count"], 10, 64)
			if err != nil {
				t.Fatalf("%s: %v", lines.Text(), err)
			}
			sums[facts["product"]] += count
		}
	}
	return sums
}

// factsOf reads the name=value pairs of a log line.
func factsOf(line string) map[string]string {
	facts := map[string]string{}
	for word := range strings.FieldsSeq(line) {
		if name, value, ok := strings.Cut(word, "="); ok {
			facts[name] = value
		}
	}
	return facts
}

// wantMails: no conversation with an ad manager is left open, and none was begun
// without a stockout. (A stockout that was over before the mail was due has
// none.)
func (b *books) wantMails(t *testing.T, town *town) {
	t.Helper()
	count := func(kind string) int {
		names, err := filepath.Glob(filepath.Join(town.data, "mail", "*-"+kind+"-*.eml"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	stops, resumes := count("ad-stop"), count("ad-resume")
	if stops != resumes || stops > len(b.stockouts) || stops == 0 {
		t.Errorf("%d mails to stop and %d to resume for %d stockouts", stops, resumes, len(b.stockouts))
	}
	for _, s := range b.stockouts {
		if s.ClosedAt == "" {
			t.Errorf("the stockout %s of %s is open although nothing is under way", s.ID, s.SKU)
		}
	}
	t.Logf("%d stockouts, %d orders, %d mails", len(b.stockouts), len(b.orders), stops+resumes)
}

// wantRefusals: every buyer who was turned away is counted, on the stockout or
// on the day. The days have no list yet, so plain SQL reads them.
func (b *books) wantRefusals(t *testing.T, town *town, log *clientLog) {
	t.Helper()
	got, want := map[string]int64{}, map[string]int64{}
	for _, s := range b.stockouts {
		got[s.SKU] += s.RefusedBuyers
	}
	for sku, buyers := range town.refusedByDay(t) {
		got[sku] += buyers
	}
	for _, r := range log.refusals {
		want[r.SKU]++
	}
	for sku, buyers := range got {
		if buyers == 0 {
			delete(got, sku)
		}
	}
	if diff := gocmp.Diff(got, want); diff != "" {
		t.Errorf("refused buyers per product (-got +want)\n%s", diff)
	}
}

func (town *town) refusedByDay(t *testing.T) map[string]int64 {
	t.Helper()
	path := url.URL{Scheme: "file", Opaque: filepath.Join(town.data, "restock.db"), RawQuery: "mode=ro"}
	db, err := sql.Open("sqlite3", path.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	rows, err := db.QueryContext(t.Context(), `SELECT p.sku, SUM(r.buyers) FROM refusals r JOIN products p ON p.id = r.product_id GROUP BY p.sku`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says what matters
	sums := map[string]int64{}
	for rows.Next() {
		var sku string
		var buyers int64
		if err := rows.Scan(&sku, &buyers); err != nil {
			t.Fatal(err)
		}
		sums[sku] = buyers
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return sums
}
