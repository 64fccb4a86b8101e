package awslocal

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql" // registers "mysql"
	"github.com/google/uuid"
)

// TestPartsOfOursWorkBehindPartsOfOthers on the existing tables: a shop that is not
// ours sells from product.stock and publishes, in each of its shapes, that it has
// nothing left; our stock worker orders, once for all of them. Its factory calls
// our arrivals, and product.stock is right.
func TestPartsOfOursWorkBehindPartsOfOthers(t *testing.T) {
	s := open(t)
	f, address, stop, err := s.OpenFactory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	f.Repeats = true
	theirs := existingTables{factory: address + "/api/manufactures"}
	story, act := theirs.deploy(t, s)
	story.Factory = f
	cloud := story.Cloud
	act("catalog", "import-mysql", cloud.DatabaseURL(), "--order-quantity", "7")
	for i, sku := range theirSKUs {
		theirs.exec(t, `UPDATE product SET stock = 0 WHERE sku = ?`, sku) // their Sales sold the last
		for range 10 {
			if err := theirs.say(t.Context(), cloud, sku, i); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, sku := range theirSKUs {
		if err := story.until(t.Context(), "an order for "+sku, func() bool { return f.Orders(sku) > 0 }); err != nil {
			t.Fatal(err)
		}
	}
	for _, sku := range theirSKUs {
		if n := theirs.stock(t, sku); n != 0 {
			t.Errorf("%s: product.stock is %d before the goods came", sku, n)
		}
		f.Deliver(sku)
		if err := story.until(t.Context(), "seven of "+sku+" in product.stock", func() bool { return theirs.stock(t, sku) == 7 }); err != nil {
			t.Error(err)
		}
	}
	// What comes late changes nothing: there is stock, and a callback is applied once.
	for i, sku := range theirSKUs {
		if err := theirs.say(t.Context(), cloud, sku, i); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range f.Taken() {
		if _, err := post(t.Context(), o.CallbackURL, fmt.Appendf(nil, `{"MessageAttributeProductId":%q,"MessageAttributeProductCnt":"7"}`, o.SKU)); err != nil {
			t.Error(err)
		}
	}
	settle(t, story)
	for _, sku := range theirSKUs {
		if n, orders := theirs.stock(t, sku), f.Orders(sku); n != 7 || orders != 1 {
			t.Errorf("%s: product.stock %d after %d orders, want 7 after 1", sku, n, orders)
		}
	}
	status, answer, err := story.ask(t.Context(), http.MethodPost, cloud.API()+"/product/"+theirSKUs[0], `{"MessageAttributeProductCnt":"5"}`, "")
	if err != nil || status != http.StatusOK || !strings.Contains(answer, `"held"`) {
		t.Errorf("goods that nobody vouches for: %d %s, %v", status, answer, err)
	}
	if n := theirs.stock(t, theirSKUs[0]); n != 7 {
		t.Errorf("%d in product.stock after goods that nobody vouches for, want 7", n)
	}
	if err := story.command(t.Context(), "verify", "--db", cloud.DatabaseURL()); err != nil {
		t.Error(err)
	}
}

// TestArrivalsAloneWorkBehindAWorkerOfOthers on the existing tables: their worker
// orders, and gave their factory one address for all. A secret of the factory in it
// vouches for what it reports; the function reads it in the database, so that it
// needs no environment of its own.
func TestArrivalsAloneWorkBehindAWorkerOfOthers(t *testing.T) {
	s := open(t)
	theirs := existingTables{factory: "http://127.0.0.1:9/api/manufactures"}
	story, act := theirs.deploy(t, s)
	cloud := story.Cloud
	act("catalog", "import-mysql", cloud.DatabaseURL())
	// report is what their factory sends back, at an address with a secret or none.
	report := func(secret, sku string, count int, want string) string {
		t.Helper()
		address := cloud.API() + "/product/donut"
		if secret != "" {
			address += "?token=" + secret
		}
		body := fmt.Sprintf(`{"MessageAttributeProductId":%q,"MessageAttributeProductCnt":"%d","MessageAttributeFactoryId":"FF-500293","CallbackUrl":%q}`,
			sku, count, address)
		status, answer, err := story.ask(t.Context(), http.MethodPost, address, body, "")
		var got struct {
			Result    string `json:"result"`
			ReceiptID string `json:"receipt_id"`
		}
		if err == nil {
			err = json.Unmarshal([]byte(answer), &got)
		}
		if err != nil || status != http.StatusOK || got.Result != want {
			t.Fatalf("%d of %s were answered %d %s, %v; want %s", count, sku, status, answer, err, want)
		}
		return got.ReceiptID
	}
	want := func(sku string, stock int64) {
		t.Helper()
		if n := theirs.stock(t, sku); n != stock {
			t.Errorf("%s: product.stock is %d, want %d", sku, n, stock)
		}
	}
	sku := theirSKUs[0]
	strange := report("", sku, 5, "held")
	status, answer, err := story.ask(t.Context(), http.MethodPost, cloud.FunctionURL()+"/v1/factory-secrets",
		`{"factory":"FF-500293","reason":"their worker orders there","by":"kim"}`, cloud.Secret("token"))
	var made struct {
		Secret string `json:"secret"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(answer), &made)
	}
	if err != nil || status != http.StatusCreated || made.Secret == "" {
		t.Fatalf("a secret: %d, %v", status, err)
	}
	report(strings.Repeat("a", len(made.Secret)), sku, 5, "held")
	want(sku, 3)
	report(made.Secret, sku, 10, "applied")
	want(sku, 13)
	report(made.Secret, idOf(theirSKUs[1]).String(), 10, "applied") // by its UUID
	want(theirSKUs[1], 13)
	repeat := report(made.Secret, sku, 10, "held")
	want(sku, 13)
	theirs.exec(t, `UPDATE product SET stock = stock - 2 WHERE sku = ?`, sku) // their Sales sells meanwhile
	act("receipts", "approve", repeat, "--reason", "ten more came")
	act("receipts", "approve", strange, "--reason", "these, too")
	want(sku, 26)
	if err := story.command(t.Context(), "verify", "--db", cloud.DatabaseURL()); err != nil {
		t.Error(err)
	}
}

// behindOthers takes out of a template what parts of others do: they sell, and
// nothing is looked for by a schedule.
func behindOthers(t *Template) *Template {
	c := t.Clone()
	for _, r := range c.of(typeFunction) {
		for name, e := range object(r.Properties["Events"]) {
			if kind := text(object(e)["Type"]); kind != "SQS" {
				delete(object(r.Properties["Events"]), name)
			}
		}
	}
	for _, r := range c.of(typeRoute) {
		if key := text(r.Properties["RouteKey"]); key == "$default" || strings.HasSuffix(key, "/checkout") {
			delete(c.Resources, r.ID)
		}
	}
	return c
}

// theirSKUs are products, one for each shape of their messages.
var theirSKUs = []string{"CP-0", "CP-1", "CP-2", "CP-3", "CP-4", "CP-5", "CP-6", "CP-7"}

// existingTables are those of the system that was there before.
type existingTables struct {
	factory string
	db      *sql.DB
}

// make makes them before anything of ours is there.
func (e *existingTables) make(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	if e.db, err = sql.Open("mysql", u.User.String()+"@tcp("+u.Host+")"+u.Path); err != nil {
		return err
	}
	for _, statement := range []string{
		`CREATE TABLE factory (factory_id BINARY(16) PRIMARY KEY, identifier VARCHAR(100), name VARCHAR(100) UNIQUE, manager_email VARCHAR(100), API VARCHAR(200)) DEFAULT CHARSET = utf8mb4`,
		`CREATE TABLE advertisement (ad_id BINARY(16) PRIMARY KEY, status BOOLEAN, manager_email VARCHAR(100)) DEFAULT CHARSET = utf8mb4`,
		`CREATE TABLE product (product_id BINARY(16) PRIMARY KEY, sku VARCHAR(100) UNIQUE, name VARCHAR(100) UNIQUE, price INT, stock INT,
			factory_id BINARY(16), ad_id BINARY(16), FOREIGN KEY (factory_id) REFERENCES factory (factory_id), FOREIGN KEY (ad_id) REFERENCES advertisement (ad_id)) DEFAULT CHARSET = utf8mb4`,
		`INSERT INTO factory VALUES (REPEAT('f', 16), 'FF-500293', '부산도너츠 공장', 'factory@donut.example', '` + e.factory + `')`,
		`INSERT INTO advertisement VALUES (REPEAT('a', 16), TRUE, 'ads@donut.example')`,
	} {
		if _, err := e.db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	for _, sku := range theirSKUs {
		id := idOf(sku)
		if _, err := e.db.ExecContext(ctx, `INSERT INTO product VALUES (?, ?, ?, 19900, 3, REPEAT('f', 16), REPEAT('a', 16))`, id[:], sku, "donut "+sku); err != nil {
			return err
		}
	}
	return nil
}

// deploy puts the parts of ours beside these tables, and gives how an operator acts
// on them.
func (e *existingTables) deploy(t *testing.T, s *Site) (story *Story, act func(args ...string)) {
	t.Helper()
	parameters := Parameters()
	parameters["StockTable"] = "product"
	cloud, err := s.Deploy(t.Context(), Config{
		Template: behindOthers(shipped(t)), Parameters: parameters, Catalog: []byte("currency: KRW\n"), Before: e.make,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cloud.Close)
	t.Cleanup(func() { _ = e.db.Close() })
	token := cloud.folder + "/token"
	if err := writeFile(token, cloud.Secret("token")); err != nil {
		t.Fatal(err)
	}
	story = &Story{Cloud: cloud}
	return story, func(args ...string) {
		t.Helper()
		if err := story.command(t.Context(), append(args, "--server", cloud.FunctionURL(), "--token-file", token)...); err != nil {
			t.Fatal(err)
		}
	}
}

func idOf(sku string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceURL, []byte(sku)) }

func (e *existingTables) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := e.db.ExecContext(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

func (e *existingTables) stock(t *testing.T, sku string) (n int64) {
	t.Helper()
	if err := e.db.QueryRowContext(t.Context(), `SELECT stock FROM product WHERE sku = ?`, sku).Scan(&n); err != nil {
		t.Error(err)
	}
	return n
}

// say publishes that a product is sold out, in one of eight shapes: raw or in the
// envelope of SNS, one spelling or the other, SKU or UUID.
func (e *existingTables) say(ctx context.Context, c *Cloud, sku string, shape int) error {
	spelling, ref := "MessageAttributeProductId", sku
	if shape&1 != 0 {
		spelling = "ProductId"
	}
	if shape&2 != 0 {
		ref = idOf(sku).String()
	}
	for _, r := range c.shipped.made(typeSubscription) {
		kind, ok := someType(c.shipped.get(r, "FilterPolicy"))
		if !ok || kind.name != ofTheFuture {
			continue
		}
		const words = "도너츠 재고가 없습니다. 2026-03-01 09:00:00"
		if shape&4 == 0 {
			return c.Publish(ctx, c.shipped.text(r, "TopicArn"), words, map[string]string{spelling: ref, "FactoryId": "FF-500293"})
		}
		return c.put(ctx, c.shipped.text(r, "Endpoint"), note{body: toJSON(map[string]any{
			"Type": "Notification", "MessageId": uuid.NewString(), "Subject": "out of stock", "Message": words,
			"MessageAttributes": map[string]any{spelling: map[string]any{"Type": "String", "Value": ref}},
		})})
	}
	return fmt.Errorf("no subscription takes what others publish")
}

func writeFile(path, content string) error { return os.WriteFile(path, []byte(content), 0o600) }
