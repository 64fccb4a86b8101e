package store_test

import (
	"database/sql"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/test/servers"
)

// existing is the database of the system that was there before.
type existing struct {
	*sql.DB
	address string
}

// openExisting makes its tables, with one product of a stock.
func openExisting(t *testing.T, stock int) existing {
	t.Helper()
	e := existing{address: servers.MariaDB(t)}
	u, err := url.Parse(e.address)
	if err != nil {
		t.Fatal(err)
	}
	e.DB = openDSN(t, "mysql", u.User.String()+"@tcp("+u.Host+")"+u.Path)
	for _, statement := range []string{
		`CREATE TABLE factory (factory_id BINARY(16) PRIMARY KEY, identifier VARCHAR(100), name VARCHAR(100) UNIQUE, manager_email VARCHAR(100), API VARCHAR(200)) DEFAULT CHARSET = utf8mb4`,
		`CREATE TABLE advertisement (ad_id BINARY(16) PRIMARY KEY, status BOOLEAN, manager_email VARCHAR(100)) DEFAULT CHARSET = utf8mb4`,
		`CREATE TABLE product (product_id BINARY(16) PRIMARY KEY, sku VARCHAR(100) UNIQUE, name VARCHAR(100) UNIQUE, price INT, stock INT,
			factory_id BINARY(16), ad_id BINARY(16), FOREIGN KEY (factory_id) REFERENCES factory (factory_id), FOREIGN KEY (ad_id) REFERENCES advertisement (ad_id)) DEFAULT CHARSET = utf8mb4`,
		`INSERT INTO factory VALUES (REPEAT('f', 16), 'FF-500293', '부산도너츠 공장', 'factory@donut.example', 'http://127.0.0.1:4000/api/manufactures')`,
		`INSERT INTO advertisement VALUES (REPEAT('a', 16), TRUE, 'ads@donut.example')`,
	} {
		e.exec(t, statement)
	}
	e.exec(t, `INSERT INTO product VALUES (REPEAT('p', 16), 'CP-502101', '부산도너츠', 19900, ?, REPEAT('f', 16), REPEAT('a', 16))`, stock)
	e.exec(t, `INSERT INTO product VALUES (REPEAT('q', 16), 'CP-2', 'without anybody', 100, -2, NULL, NULL)`)
	return e
}

func (e existing) exec(t *testing.T, statement string, args ...any) int64 {
	t.Helper()
	done, err := e.ExecContext(t.Context(), statement, args...)
	if err != nil {
		t.Error(err)
		return 0
	}
	n, err := done.RowsAffected()
	if err != nil {
		t.Error(err)
	}
	return n
}

func (e existing) stock(t *testing.T, sku string) int64 {
	t.Helper()
	var n int64
	if err := e.QueryRowContext(t.Context(), `SELECT stock FROM product WHERE sku = ?`, sku).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// beside opens the database for a process that works beside the other system.
func (e existing) beside(t *testing.T, table string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), e.address, store.Config{StockTable: table})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOpen(t, s) })
	return s
}

// takeOver imports the tables, with a policy.
func (e existing) takeOver(t *testing.T, s *store.Store) {
	t.Helper()
	c, err := store.ReadExisting(t.Context(), e.address)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Products {
		if c.Products[i].Factory != "" {
			c.Products[i].OrderQuantity = 10
		}
	}
	c.Factories[0].MaxInFlight, c.Factories[0].RatePerSecond = 1000, 1_000_000
	c.Fill()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ApplyCatalog(t.Context(), c, store.CreateAndEdit); err != nil {
		t.Fatal(err)
	}
}

func TestExistingTablesAreTakenOverWithTheirIds(t *testing.T) {
	t.Parallel()
	e := openExisting(t, 3)
	s := e.beside(t, "product")
	e.takeOver(t, s)
	p, err := s.Product(t.Context(), "CP-502101")
	if err != nil {
		t.Fatal(err)
	}
	id := func(letter string) (id [16]byte) { copy(id[:], strings.Repeat(letter, len(id))); return id }
	got := []any{p.ID, p.FactoryID, p.AdvertisementID, p.Name, p.Price, p.Stock.OnHand}
	want := []any{restock.ProductID(id("p")), restock.FactoryID(id("f")), restock.AdvertisementID(id("a")), "부산도너츠", int64(19900), int64(3)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the product (-want +got):\n%s", diff)
	}
	if got := stockOf(t, s, "CP-2"); got != 0 {
		t.Errorf("on hand %d of what was oversold, want 0", got)
	}
	if theirs := e.stock(t, "CP-502101"); theirs != 3 {
		t.Errorf("their stock is %d after it was taken over, want 3", theirs)
	}
	wantClean(t, s)
}

// TestAnotherSystemOwnsTheStock: it sells from its table with its own
// statements, while goods arrive here, people adjust, and both sell. Nothing of
// either is lost, and what it did is booked.
func TestAnotherSystemOwnsTheStock(t *testing.T) {
	t.Parallel()
	const opening, each, orders = 40, 60, 12
	e := openExisting(t, opening)
	stores := []*store.Store{e.beside(t, "product"), e.beside(t, "")} // the second reads it from the database
	e.takeOver(t, stores[0])
	var theirSales, ourSales, came atomic.Int64
	crowd(6, func(i int) {
		s := stores[i%len(stores)]
		switch i {
		case 0, 1, 2: // the other system
			for range each {
				theirSales.Add(e.exec(t, `UPDATE product SET stock = stock - 1 WHERE sku = 'CP-502101' AND stock > 0`))
			}
		case 3, 4:
			for range each / 4 {
				outcomes, err := s.Sell(t.Context(), []restock.Cart{cartOf("CP-502101")})
				if err != nil {
					t.Error(err)
				} else if outcomes[0].Err == nil {
					ourSales.Add(1)
				}
			}
		default:
			for range orders {
				came.Add(deliver(t, s))
			}
		}
	})
	want := opening + came.Load() - theirSales.Load() - ourSales.Load()
	if got := e.stock(t, "CP-502101"); got != want {
		t.Errorf("I2 conservation: their stock is %d, want %d + %d that came - %d that they sold - %d that we sold = %d",
			got, opening, came.Load(), theirSales.Load(), ourSales.Load(), want)
	}
	for {
		n, err := stores[0].FollowStock(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if got := stockOf(t, stores[1], "CP-502101"); got != want {
		t.Errorf("I2 conservation: on hand %d here, want %d as there", got, want)
	}
	wantClean(t, stores[1])
}

// deliver places an order of ten and receives it.
func deliver(t *testing.T, s *store.Store) int64 {
	t.Helper()
	if _, err := s.PlanByHand(t.Context(), restock.ManualOrder{Product: "CP-502101", Quantity: 10, By: "test", Reason: "more"}, restock.Key{},
		func(restock.Situation) restock.Decision {
			return restock.Decision{Order: true, Quantity: 10, Reason: "by hand"}
		}); err != nil {
		t.Error(err)
		return 0
	}
	attempt, err := s.ClaimAttempt(t.Context(), "test", time.Minute)
	if err != nil || attempt.OrderID.IsZero() {
		t.Errorf("claimed %v, %v", attempt, err)
		return 0
	}
	r, err := s.Receive(t.Context(), restock.Callback{OrderID: attempt.OrderID, Attempt: attempt.Number, Count: 10, Claimed: "10", Body: []byte("ten")},
		func(e restock.Evidence) restock.Verdict {
			return restock.Verdict{State: restock.ReceiptApplied, Apply: e.Callback.Count}
		})
	if err != nil {
		t.Error(err)
	}
	return r.Applied
}

// TestWhatAnotherSystemSellsOutIsNoticed: no act of ours was there, and yet the
// stock is low, an order is due, and the advertisement has to stop.
func TestWhatAnotherSystemSellsOutIsNoticed(t *testing.T) {
	t.Parallel()
	e := openExisting(t, 3)
	s := e.beside(t, "product")
	e.takeOver(t, s)
	e.exec(t, `UPDATE product SET stock = 0 WHERE sku = 'CP-502101'`)
	checks, err := s.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if last := checks[len(checks)-1]; last.Broken > 0 || !strings.Contains(last.Unknown, "Of 2 products it changed 1 since") {
		t.Errorf("verify says %+v of what it cannot know", last)
	}
	if n, err := s.FollowStock(t.Context(), 10); n != 1 || err != nil {
		t.Fatalf("followed %d products, %v; want 1", n, err)
	}
	p, err := s.Product(t.Context(), "CP-502101")
	if err != nil || p.Stock.OnHand != 0 || p.Stock.StockoutID.IsZero() {
		t.Errorf("the product is %+v, %v; want none on hand and a stockout", p.Stock, err)
	}
	status, err := s.Queue().Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waiting := map[string]int64{}
	for _, q := range status {
		waiting[q.Queue] = q.Waiting
	}
	if waiting[restock.StockQueue] == 0 || waiting[restock.AdQueue] == 0 {
		t.Errorf("messages %v, want one that it is low and one that it is out", waiting)
	}
	adjustments, _, err := s.Adjustments(t.Context(), restock.ListQuery{Limit: 10})
	if err != nil || len(adjustments) != 1 || adjustments[0].Quantity != -3 {
		t.Errorf("adjustments %+v, %v; want one of -3", adjustments, err)
	}
	wantClean(t, s)
}

// TestReservedPiecesThatAnotherSystemSoldAreFreed: they are gone.
func TestReservedPiecesThatAnotherSystemSoldAreFreed(t *testing.T) {
	t.Parallel()
	e := openExisting(t, 3)
	s := e.beside(t, "product")
	e.takeOver(t, s)
	r, err := s.Reserve(t.Context(), cartOf("CP-502101", "CP-502101"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	e.exec(t, `UPDATE product SET stock = 1 WHERE sku = 'CP-502101'`)
	if _, err := s.ConfirmReservation(t.Context(), r.ID); restock.KindOf(err) != restock.Conflict {
		t.Errorf("confirming what was sold meanwhile: %v", err)
	}
	if got := e.stock(t, "CP-502101"); got != 1 {
		t.Errorf("their stock is %d, want 1", got)
	}
	if _, err := s.FollowStock(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	wantClean(t, s)
}

func TestAStockTableIsCheckedAtTheStart(t *testing.T) {
	t.Parallel()
	e := openExisting(t, 3)
	for _, c := range []struct{ address, table, says string }{
		{e.address, "product; DROP TABLE product", "is no name of a table"},
		{e.address, "warehouse", "cannot be read"},
		{e.address, "factory", "cannot be read"},
		{emptyPostgreSQL(t), "product", "on MySQL alone"},
	} {
		s, err := store.Open(t.Context(), c.address, store.Config{StockTable: c.table})
		if err == nil {
			t.Error(s.Close())
		}
		if restock.KindOf(err) != restock.Invalid || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.table, err, c.says)
		}
	}
	e.takeOver(t, e.beside(t, "product"))
	alone := e.beside(t, store.NoStockTable)
	if table, ok := alone.SharesStock(); ok {
		t.Errorf("it shares %s still", table)
	}
	if outcomes, err := alone.Sell(t.Context(), []restock.Cart{cartOf("CP-502101")}); err != nil || outcomes[0].Err != nil {
		t.Fatal(outcomes, err)
	}
	if got := e.stock(t, "CP-502101"); got != 3 {
		t.Errorf("their stock is %d, want 3: it is not shared any more", got)
	}
}

// TestABackupOfSharedStockIsAShopOfItsOwn: the table of the other system stays
// where it is. Whoever restores is told so, and nobody looks for it.
func TestABackupOfSharedStockIsAShopOfItsOwn(t *testing.T) {
	t.Parallel()
	e := openExisting(t, 3)
	e.takeOver(t, e.beside(t, "product"))
	backup := filepath.Join(t.TempDir(), "restock.db")
	if err := store.BackUp(t.Context(), e.address, backup, ignoreProgress); err != nil {
		t.Fatal(err)
	}
	looked := openAt(t, backup, store.Config{ReadOnly: true})
	wantClean(t, looked)
	if err := looked.Close(); err != nil {
		t.Fatal(err)
	}
	for name, database := range shops() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := database(t)
			done, err := store.Restore(t.Context(), backup, to, restock.Act{By: "test", Reason: "test"}, ignoreProgress)
			if err != nil || done.StockTable != "product" {
				t.Fatalf("restored %+v, %v; want that it says product", done, err)
			}
			s := openURL(t, to)
			if table, ok := s.SharesStock(); ok {
				t.Errorf("it shares %s", table)
			}
			if outcomes, err := s.Sell(t.Context(), []restock.Cart{cartOf("CP-502101")}); err != nil || outcomes[0].Err != nil {
				t.Fatal(outcomes, err)
			}
			if got := stockOf(t, s, "CP-502101"); got != 2 {
				t.Errorf("on hand %d, want 2", got)
			}
			wantClean(t, s)
		})
	}
	// As a file it can be used and moved; its setting goes nowhere.
	file := openAt(t, backup, store.Config{})
	if table, ok := file.SharesStock(); ok {
		t.Errorf("a file shares %s", table)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	to := mariaDBs().database(t)
	if _, err := store.Move(t.Context(), "sqlite:"+backup, to, ignoreProgress); err != nil {
		t.Fatal(err)
	}
	if table, ok := openURL(t, to).SharesStock(); ok {
		t.Errorf("after the move it shares %s", table)
	}
	if got := e.stock(t, "CP-502101"); got != 3 {
		t.Errorf("their stock is %d, want 3", got)
	}
}
