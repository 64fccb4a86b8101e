package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock"
)

// ApplyMode says what a catalogue may do to what exists.
type ApplyMode int

// The modes of applying a catalogue.
const (
	CreateMissing ApplyMode = iota // what exists stays as it is
	CreateAndEdit                  // what exists becomes what the catalogue says
	DryRun                         // only tell what CreateAndEdit would change
)

// productsPerAct is how many products of a catalogue go into one transaction,
// so that a large one never keeps a buyer waiting.
const productsPerAct = 25

// ApplyCatalog brings factories, advertisements, products and settings in
// line with a filled and checked catalogue. What the catalogue does not name
// stays.
//
// The error is of kind Invalid when a product names a factory or an
// advertisement that is neither in the catalogue nor in the store.
func (s *Store) ApplyCatalog(ctx context.Context, c restock.Catalog, mode ApplyMode) ([]restock.CatalogChange, error) {
	var changes []restock.CatalogChange
	partners := map[[2]string][16]byte{}
	apply := func(step func(context.Context, *applier) error) error {
		var found []restock.CatalogChange
		var known map[[2]string][16]byte
		run := func(ctx context.Context, tx *tx) error {
			known = maps.Clone(partners) // what a step that fails has made is not there
			a := &applier{tx: tx, mode: mode, catalog: &c, known: known}
			err := step(ctx, a)
			found = a.changes
			return err
		}
		var err error
		if mode == DryRun {
			err = s.view(ctx, run)
		} else {
			err = s.update(ctx, background, run)
		}
		if err == nil { // what failed was undone
			partners, changes = known, append(changes, found...)
		}
		return err
	}
	if err := apply(func(ctx context.Context, a *applier) error { return a.partners(ctx) }); err != nil {
		return changes, err
	}
	for at := 0; at < len(c.Products); at += productsPerAct {
		slice := c.Products[at:min(at+productsPerAct, len(c.Products))]
		if err := apply(func(ctx context.Context, a *applier) error { return a.products(ctx, slice) }); err != nil {
			return changes, err
		}
	}
	return changes, apply(func(ctx context.Context, a *applier) error { return a.settings(ctx) })
}

// applier compares one part of a catalogue with the store and writes the
// differences, unless it only tells them.
type applier struct {
	tx      *tx
	mode    ApplyMode
	catalog *restock.Catalog
	known   map[[2]string][16]byte // factories and advertisements by kind and name
	changes []restock.CatalogChange
}

func (a *applier) note(kind, name, field, old, changed string) bool {
	if old == changed {
		return false
	}
	a.changes = append(a.changes, restock.CatalogChange{Kind: kind, Name: name, Field: field, Old: old, New: changed})
	return true
}

func (a *applier) created(kind, name string) {
	a.changes = append(a.changes, restock.CatalogChange{Kind: kind, Name: name})
}

func (a *applier) partners(ctx context.Context) error {
	for _, f := range a.catalog.Factories {
		if err := a.factory(ctx, f); err != nil {
			return fmt.Errorf("factory %s: %w", f.Identifier, err)
		}
	}
	for _, ad := range a.catalog.Advertisements {
		if err := a.advertisement(ctx, ad); err != nil {
			return fmt.Errorf("advertisement %s: %w", ad.Name, err)
		}
	}
	return a.checkNames(ctx)
}

// checkNames reports all names that neither the catalogue nor the store knows,
// before any product is touched.
func (a *applier) checkNames(ctx context.Context) error {
	var unknown []string
	check := func(query, kind, name string, inCatalog func(string) bool) error {
		_, err := partner(ctx, a, query, kind, name, inCatalog)
		if restock.KindOf(err) == restock.Invalid {
			if text := err.Error(); !slices.Contains(unknown, text) && len(unknown) < unknownShown {
				unknown = append(unknown, text)
			}
			return nil
		}
		return err
	}
	for _, p := range a.catalog.Products {
		if err := errors.Join(check(selectFactory, "factory", p.Factory, a.namesFactory),
			check(selectAdvertisement, "advertisement", p.Advertisement, a.namesAdvertisement)); err != nil {
			return err
		}
	}
	if name := string(a.catalog.DefaultProduct); name != "" && !a.namesProduct(a.catalog.DefaultProduct) {
		if _, err := a.tx.productID(ctx, name); restock.KindOf(err) == restock.NotFound {
			unknown = append(unknown, fmt.Sprintf("default_product: there is no product %q, neither in the catalogue nor in the store", name))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return restock.Errorf(restock.Invalid, restock.CodeInvalid, "the catalogue names what is not there:\n  %s\nNothing was changed; mend the file and apply it again",
		strings.Join(unknown, "\n  "))
}

const (
	selectFactory       = `SELECT id FROM factories WHERE identifier = ?`
	selectAdvertisement = `SELECT id FROM advertisements WHERE name = ?`
	unknownShown        = 50 // names in one error
)

func (a *applier) namesProduct(sku restock.SKU) bool {
	return slices.ContainsFunc(a.catalog.Products, func(p restock.CatalogProduct) bool { return p.SKU == sku })
}

// column is one editable column: its name, the stored and the wanted value.
type column struct {
	name        string
	old, wanted any
}

// edit writes the columns that differ, if the mode allows it.
func (a *applier) edit(ctx context.Context, kind, name, table string, id any, columns []column) (bool, error) {
	if a.mode == CreateMissing {
		return false, nil
	}
	changed := false
	for _, c := range columns {
		if !a.note(kind, name, c.name, fmt.Sprint(c.old), fmt.Sprint(c.wanted)) {
			continue
		}
		changed = true
		if a.mode == DryRun {
			continue
		}
		if d, ok := c.wanted.(time.Duration); ok {
			c.wanted = d.Microseconds()
		}
		if err := a.tx.must(ctx, `UPDATE `+table+` SET `+c.name+` = ? WHERE id = ?`, c.wanted, id); err != nil {
			return changed, err
		}
	}
	return changed, nil
}

func (a *applier) factory(ctx context.Context, f restock.CatalogFactory) error {
	var old restock.Factory
	err := a.tx.one(ctx, `SELECT `+factoryColumns+` FROM factories f WHERE f.identifier = ?`, []any{f.Identifier}, factoryFields(&old)...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		a.created("factory", f.Identifier)
		if a.mode == DryRun {
			return nil
		}
		return a.tx.must(ctx, `INSERT INTO factories (id, identifier, name, manager_email, language, url, requester, lead_time,
			max_in_flight, rate_per_second, overdue_policy, repeats, refused_statuses)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			orNew(a.tx, f.ID), f.Identifier, f.Name, f.ManagerEmail, string(f.Language), f.URL, f.Requester,
			f.LeadTime.Microseconds(), f.MaxInFlight, f.RatePerSecond, string(f.Overdue), string(f.Repeats), statusText(f.RefusedStatuses))
	case err != nil:
		return err
	}
	_, err = a.edit(ctx, "factory", f.Identifier, "factories", old.ID, []column{
		{"name", old.Name, f.Name},
		{"manager_email", old.ManagerEmail, f.ManagerEmail},
		{"language", string(old.Language), string(f.Language)},
		{"url", old.URL, f.URL},
		{"requester", old.Requester, f.Requester},
		{"lead_time", old.LeadTime, f.LeadTime},
		{"max_in_flight", old.MaxInFlight, f.MaxInFlight},
		{"rate_per_second", old.RatePerSecond, f.RatePerSecond},
		{"overdue_policy", string(old.OverduePolicy), string(f.Overdue)},
		{"repeats", string(old.Repeats), string(f.Repeats)},
		{"refused_statuses", statusText(old.RefusedStatuses), statusText(f.RefusedStatuses)},
	})
	return err
}

func (a *applier) advertisement(ctx context.Context, ad restock.CatalogAdvertisement) error {
	var old restock.Advertisement
	err := a.tx.one(ctx, `SELECT id, manager_email, language, stop_when FROM advertisements WHERE name = ?`, []any{ad.Name},
		&old.ID, &old.ManagerEmail, &old.Language, &old.StopWhen)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		a.created("advertisement", ad.Name)
		if a.mode == DryRun {
			return nil
		}
		return a.tx.must(ctx, `INSERT INTO advertisements (id, name, manager_email, language, stop_when) VALUES (?, ?, ?, ?, ?)`,
			orNew(a.tx, ad.ID), ad.Name, ad.ManagerEmail, string(ad.Language), string(ad.StopWhen))
	case err != nil:
		return err
	}
	_, err = a.edit(ctx, "advertisement", ad.Name, "advertisements", old.ID, []column{
		{"manager_email", old.ManagerEmail, ad.ManagerEmail},
		{"language", string(old.Language), string(ad.Language)},
		{"stop_when", string(old.StopWhen), string(ad.StopWhen)},
	})
	return err
}

func (a *applier) products(ctx context.Context, products []restock.CatalogProduct) error {
	if err := a.lock(ctx, products); err != nil {
		return err
	}
	for _, p := range products {
		if err := a.product(ctx, p); err != nil {
			return fmt.Errorf("product %s: %w", p.SKU, err)
		}
	}
	return nil
}

// lock locks the products that may be edited, all of them in order.
func (a *applier) lock(ctx context.Context, products []restock.CatalogProduct) error {
	if a.mode != CreateAndEdit {
		return nil
	}
	skus := make([]string, len(products))
	for i, p := range products {
		skus[i] = string(p.SKU)
	}
	ids, err := collect(ctx, a.tx, `SELECT id FROM products WHERE sku IN (`+places(len(skus))+`)`, anys(skus), scanID[restock.Product])
	if err == nil {
		_, err = a.tx.lock(ctx, ids...)
	}
	return err
}

func (a *applier) product(ctx context.Context, p restock.CatalogProduct) error {
	factory, err := partner(ctx, a, selectFactory, "factory", p.Factory, a.namesFactory)
	if err != nil {
		return err
	}
	ad, err := partner(ctx, a, selectAdvertisement, "advertisement", p.Advertisement, a.namesAdvertisement)
	if err != nil {
		return err
	}
	var id restock.ProductID
	err = a.tx.one(ctx, `SELECT id FROM products WHERE sku = ?`, []any{string(p.SKU)}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return a.create(ctx, p, factory, ad)
	}
	if err != nil || a.mode == CreateMissing {
		return err
	}
	return a.editProduct(ctx, id, p, factory, ad)
}

func (a *applier) create(ctx context.Context, p restock.CatalogProduct, factory, ad [16]byte) error {
	a.created("product", string(p.SKU))
	if a.mode == DryRun {
		return nil
	}
	if err := a.slugFree(ctx, p); err != nil {
		return err
	}
	product := restock.Product{ID: orNew(a.tx, p.ID), SKU: p.SKU, Policy: p.Policy()}
	// A product begins with nothing, under no policy, so that its opening stock
	// and its first order are noticed like any other change.
	before, after := product, product
	before.Policy.Ordering = restock.OrderingOff
	after.Stock.OnHand = p.OpeningStock
	if err := a.tx.must(ctx, `INSERT INTO products (id, sku, slug, name, price, unit_cost, currency, factory_id, advertisement_id,
		opening_stock, on_hand, ordering, reorder_point, order_quantity, order_up_to, minimum_order, pack_size, maximum_stock,
		max_per_purchase, resume_level, open_orders_max, daily_limit, created_at, urgency)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		product.ID, string(p.SKU), p.Slug, p.Name, p.Price, p.UnitCost, a.catalog.Currency,
		restock.FactoryID(factory), restock.AdvertisementID(ad),
		p.OpeningStock, string(p.Ordering), p.ReorderPoint, p.OrderQuantity, p.OrderUpTo, p.MinimumOrder, p.PackSize,
		p.MaximumStock, p.MaxPerPurchase, p.ResumeLevel, p.OpenOrdersMax, p.DailyLimit, micros(a.tx.now), int(before.Urgency())); err != nil {
		return err
	}
	if err := a.tx.rewriteWords(ctx, product.ID, nil, nameWords(p.SKU, p.Slug, p.Name)); err != nil {
		return err
	}
	if p.OpeningStock > 0 {
		if err := a.tx.move(ctx, after, restock.MovementOpening, p.OpeningStock, nil, ""); err != nil {
			return err
		}
	}
	return a.settle(ctx, before, after)
}

// settle ends a change of the catalogue. A product that it made low is marked,
// so that an import cannot place orders without end.
func (a *applier) settle(ctx context.Context, before, after restock.Product) error {
	if after.Policy.Low(after.Stock) && !before.Policy.Low(before.Stock) {
		if err := a.tx.must(ctx, `UPDATE products SET low_by_import = 1 WHERE id = ?`, after.ID); err != nil {
			return err
		}
	}
	_, err := a.tx.settle(ctx, before, after, false)
	return err
}

// slugFree says whose slug it is when a product cannot have it.
// orNew makes an id where none is given.
func orNew[T any](t *tx, id restock.ID[T]) restock.ID[T] {
	if id.IsZero() {
		return t.newID()
	}
	return id
}

func (a *applier) slugFree(ctx context.Context, p restock.CatalogProduct) error {
	var owner string
	err := a.tx.one(ctx, `SELECT sku FROM products WHERE slug = ? AND sku <> ?`, []any{p.Slug, string(p.SKU)}, &owner)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return restock.Errorf(restock.Invalid, restock.CodeInvalid, "the slug %q belongs to %s", p.Slug, owner)
}

func (a *applier) editProduct(ctx context.Context, id restock.ProductID, p restock.CatalogProduct, factory, ad [16]byte) error {
	old, err := a.tx.lockOne(ctx, id)
	if err != nil {
		return err
	}
	if old.Slug != p.Slug && a.mode != DryRun {
		if err := a.slugFree(ctx, p); err != nil {
			return err
		}
	}
	changed, err := a.edit(ctx, "product", string(p.SKU), "products", id, []column{
		{"slug", old.Slug, p.Slug},
		{"name", old.Name, p.Name},
		{"price", old.Price, p.Price},
		{"unit_cost", old.UnitCost, p.UnitCost},
		{"currency", old.Currency, a.catalog.Currency},
		{"factory_id", old.FactoryID, restock.FactoryID(factory)},
		{"advertisement_id", old.AdvertisementID, restock.AdvertisementID(ad)},
		{"ordering", string(old.Policy.Ordering), string(p.Ordering)},
		{"reorder_point", old.Policy.ReorderPoint, p.ReorderPoint},
		{"order_quantity", old.Policy.OrderQuantity, p.OrderQuantity},
		{"order_up_to", old.Policy.OrderUpTo, p.OrderUpTo},
		{"minimum_order", old.Policy.MinimumOrder, p.MinimumOrder},
		{"pack_size", old.Policy.PackSize, p.PackSize},
		{"maximum_stock", old.Policy.MaximumStock, p.MaximumStock},
		{"max_per_purchase", old.Policy.MaxPerPurchase, p.MaxPerPurchase},
		{"resume_level", old.Policy.ResumeLevel, p.ResumeLevel},
		{"open_orders_max", old.Policy.OpenOrdersMax, p.OpenOrdersMax},
		{"daily_limit", old.Policy.DailyLimit, p.DailyLimit},
	})
	if err != nil {
		return err
	}
	if !changed || a.mode == DryRun {
		return nil
	}
	if err := a.tx.rewriteWords(ctx, id, nameWords(old.SKU, old.Slug, old.Name), nameWords(p.SKU, p.Slug, p.Name)); err != nil {
		return err
	}
	after := old
	after.Policy = p.Policy()
	if err := a.noteFewerOrders(ctx, old, p.OpenOrdersMax); err != nil {
		return err
	}
	return a.settle(ctx, old, after)
}

// actionFewerOrders is noted when a catalogue allows fewer open orders than
// there are.
const actionFewerOrders = "product.fewer_orders"

// noteFewerOrders keeps that a product has more open orders than it may have from
// now on: they were made when it might, and stay.
func (a *applier) noteFewerOrders(ctx context.Context, old restock.Product, most int64) error {
	if most >= old.Policy.OpenOrdersMax {
		return nil
	}
	var open int64
	if err := a.tx.one(ctx, `SELECT COUNT(*) FROM replenishment_orders WHERE product_id = ? AND slot >= 0`, []any{old.ID}, &open); err != nil || open <= most {
		return err
	}
	return a.tx.audit(ctx, restock.Act{By: "catalogue", Reason: fmt.Sprintf("open_orders_max is %d", most)}, actionFewerOrders, string(old.SKU), old.ID,
		fmt.Sprintf("%d are open and stay", open))
}

// partner resolves the name of a factory or an advertisement.
func partner(ctx context.Context, a *applier, query, kind, name string, inCatalog func(string) bool) ([16]byte, error) {
	if name == "" {
		return [16]byte{}, nil
	}
	if id, ok := a.known[[2]string{kind, name}]; ok {
		return id, nil
	}
	var id restock.ID[applier]
	err := a.tx.one(ctx, query, []any{name}, &id)
	if errors.Is(err, sql.ErrNoRows) && a.mode == DryRun && inCatalog(name) {
		return [16]byte{}, nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return id, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"there is no %s %q, neither in the catalogue nor in the store", kind, name)
	}
	if err == nil {
		a.known[[2]string{kind, name}] = id
	}
	return id, err
}

func (a *applier) namesFactory(name string) bool {
	return slices.ContainsFunc(a.catalog.Factories, func(f restock.CatalogFactory) bool { return f.Identifier == name })
}

func (a *applier) namesAdvertisement(name string) bool {
	return slices.ContainsFunc(a.catalog.Advertisements, func(ad restock.CatalogAdvertisement) bool { return ad.Name == name })
}

func (a *applier) settings(ctx context.Context) error {
	limit := ""
	if a.catalog.DailyLimit > 0 {
		limit = strconv.FormatInt(a.catalog.DailyLimit, 10)
	}
	standard, err := a.defaultProduct(ctx)
	if err != nil {
		return err
	}
	for _, s := range []struct{ name, value string }{
		{settingDefaultProduct, standard},
		{settingCurrency, a.catalog.Currency},
		{settingBuyerEmail, a.catalog.BuyerEmail},
		{settingDailyLimit, limit},
	} {
		old, err := a.tx.setting(ctx, s.name)
		if err != nil {
			return err
		}
		if s.value == "" || (old != "" && a.mode == CreateMissing) || !a.note("setting", s.name, "value", old, s.value) || a.mode == DryRun {
			continue
		}
		if err := a.tx.setSetting(ctx, s.name, s.value); err != nil {
			return err
		}
	}
	return nil
}

// defaultProduct is the one that the catalogue names, or the only product of a
// store that has no default yet.
func (a *applier) defaultProduct(ctx context.Context) (string, error) {
	if a.catalog.DefaultProduct != "" {
		return string(a.catalog.DefaultProduct), nil
	}
	old, err := a.tx.setting(ctx, settingDefaultProduct)
	if err != nil || old != "" {
		return "", err
	}
	skus, err := collect(ctx, a.tx, `SELECT sku FROM products LIMIT 2`, nil, func(rows *sql.Rows) (string, error) {
		var sku string
		err := rows.Scan(&sku)
		return sku, err
	})
	for _, p := range a.catalog.Products { // a dry run has not stored them
		if len(skus) < 2 && !slices.Contains(skus, string(p.SKU)) {
			skus = append(skus, string(p.SKU))
		}
	}
	if err != nil || len(skus) != 1 {
		return "", err
	}
	return skus[0], nil
}

func (t *tx) setSetting(ctx context.Context, name, value string) error {
	n, err := t.Exec(ctx, `UPDATE settings SET value = ? WHERE name = ?`, value, name)
	if err != nil || n == 1 {
		return err
	}
	return t.must(ctx, `INSERT INTO settings (name, value) VALUES (?, ?)`, name, value)
}

// ExportCatalog gives the catalogue as the store has it.
func (s *Store) ExportCatalog(ctx context.Context) (restock.Catalog, error) {
	var c restock.Catalog
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		if err := tx.exportSettings(ctx, &c); err != nil {
			return err
		}
		var err error
		if c.Factories, err = collect(ctx, tx, `SELECT `+factoryColumns+` FROM factories f ORDER BY f.identifier`, nil, scanCatalogFactory); err != nil {
			return err
		}
		if c.Advertisements, err = collect(ctx, tx, `SELECT name, manager_email, language, stop_when FROM advertisements ORDER BY name`, nil,
			func(rows *sql.Rows) (restock.CatalogAdvertisement, error) {
				var a restock.CatalogAdvertisement
				err := rows.Scan(&a.Name, &a.ManagerEmail, &a.Language, &a.StopWhen)
				return a, err
			}); err != nil {
			return err
		}
		c.Products, err = collect(ctx, tx, `SELECT p.sku, p.slug, p.name, p.price, p.unit_cost, p.opening_stock,
				COALESCE(f.identifier, ''), COALESCE(a.name, ''), p.ordering, p.reorder_point, p.order_quantity, p.order_up_to,
				p.minimum_order, p.pack_size, p.maximum_stock, p.max_per_purchase, p.resume_level, p.open_orders_max, p.daily_limit
			FROM products p LEFT JOIN factories f ON f.id = p.factory_id LEFT JOIN advertisements a ON a.id = p.advertisement_id
			ORDER BY p.sku`, nil, scanCatalogProduct)
		return err
	})
	return c, err
}

func (t *tx) exportSettings(ctx context.Context, c *restock.Catalog) error {
	var limit string
	for name, dest := range map[string]*string{
		settingDefaultProduct: (*string)(&c.DefaultProduct), settingCurrency: &c.Currency,
		settingBuyerEmail: &c.BuyerEmail, settingDailyLimit: &limit,
	} {
		value, err := t.setting(ctx, name)
		if err != nil {
			return err
		}
		*dest = value
	}
	if limit == "" {
		return nil
	}
	var err error
	c.DailyLimit, err = strconv.ParseInt(limit, 10, 64)
	return err
}

func scanCatalogFactory(rows *sql.Rows) (restock.CatalogFactory, error) {
	var f restock.Factory
	err := rows.Scan(factoryFields(&f)...)
	return restock.CatalogFactory{
		Identifier: f.Identifier, Name: f.Name, ManagerEmail: f.ManagerEmail, Language: f.Language, URL: f.URL,
		LeadTime: f.LeadTime, Requester: f.Requester, MaxInFlight: f.MaxInFlight, RatePerSecond: f.RatePerSecond,
		Overdue: f.OverduePolicy, Repeats: f.Repeats, RefusedStatuses: f.RefusedStatuses,
	}, err
}

func scanCatalogProduct(rows *sql.Rows) (restock.CatalogProduct, error) {
	var p restock.CatalogProduct
	err := rows.Scan(&p.SKU, &p.Slug, &p.Name, &p.Price, &p.UnitCost, &p.OpeningStock, &p.Factory, &p.Advertisement,
		&p.Ordering, &p.ReorderPoint, &p.OrderQuantity, &p.OrderUpTo, &p.MinimumOrder, &p.PackSize, &p.MaximumStock,
		&p.MaxPerPurchase, &p.ResumeLevel, &p.OpenOrdersMax, &p.DailyLimit)
	return p, err
}
