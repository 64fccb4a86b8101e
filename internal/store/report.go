package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/restock/restock"
)

// ReportStockouts gives a page of the report of stockouts, by SKU: all products
// that were out of stock within the window. A stockout that is open counts until
// now. The cursor for the next page is "" at the end.
func (s *Store) ReportStockouts(ctx context.Context, q restock.ReportQuery) ([]restock.StockoutReport, string, error) {
	if q.Limit <= 0 {
		q.Limit = listLimit
	}
	var items []restock.StockoutReport
	next := ""
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		r := reporter{tx: tx, window: restock.Span{From: q.From, To: q.To}}
		products, err := r.products(ctx, q)
		if err != nil {
			return err
		}
		if len(products) > q.Limit {
			products = products[:q.Limit]
			next = string(products[q.Limit-1].SKU)
		}
		for part := range slices.Chunk(products, keysPerStatement) {
			if err := r.fill(ctx, part); err != nil {
				return err
			}
			for _, p := range part {
				items = append(items, p.finish())
			}
		}
		return nil
	})
	return items, next, err
}

// reporter makes a report from one snapshot.
type reporter struct {
	tx     *tx
	window restock.Span
}

// reported is a report in the making.
type reported struct {
	restock.StockoutReport

	id            restock.ProductID
	advertisement restock.AdvertisementID

	out, advertised, toAcknowledge, toRestock time.Duration
	acknowledgeLongest, restockLongest        time.Duration
}

// touching is a stockout that was there in the window.
const touching = `s.opened_at < ? AND (s.closed_at IS NULL OR s.closed_at > ?)`

func (r reporter) touching() []any { return []any{micros(r.window.To), micros(r.window.From)} }

func (r reporter) products(ctx context.Context, q restock.ReportQuery) ([]*reported, error) {
	return collect(ctx, r.tx, `SELECT p.id, p.sku, p.name, p.currency, p.advertisement_id
		FROM (SELECT DISTINCT s.product_id AS id FROM stockouts s WHERE `+touching+`) o JOIN products p ON p.id = o.id
		WHERE p.sku > ? ORDER BY p.sku LIMIT ?`, append(r.touching(), q.After, q.Limit+1), func(rows *sql.Rows) (*reported, error) {
		p := &reported{}
		err := rows.Scan(&p.id, &p.SKU, &p.Name, &p.Currency, &p.advertisement)
		return p, err
	})
}

// fill adds up what happened to some products.
func (r reporter) fill(ctx context.Context, products []*reported) error {
	byID := make(map[restock.ProductID]*reported, len(products))
	ids := make([]any, len(products))
	for i, p := range products {
		byID[p.id], ids[i] = p, p.id
	}
	stopped, err := r.stopped(ctx, products)
	if err != nil {
		return err
	}
	if _, err := collect(ctx, r.tx, `SELECT s.product_id, s.opened_at, s.closed_at FROM stockouts s WHERE `+touching+`
		AND s.product_id IN (`+places(len(ids))+`)`, append(r.touching(), ids...), func(rows *sql.Rows) (struct{}, error) {
		var id restock.ProductID
		var opened, closed time.Time
		err := rows.Scan(&id, instant{&opened}, instant{&closed})
		if p := byID[id]; p != nil {
			p.add(restock.Span{From: opened, To: closed}, r, stopped[p.advertisement])
		}
		return struct{}{}, err
	}); err != nil {
		return err
	}
	_, err = collect(ctx, r.tx, `SELECT s.product_id, SUM(f.buyers), SUM(f.units), SUM(f.value)
		FROM stockouts s JOIN stockout_refusals f ON f.stockout_id = s.id
		WHERE `+touching+` AND s.product_id IN (`+places(len(ids))+`) AND f.quarter >= ? AND f.quarter < ? GROUP BY s.product_id`,
		append(append(r.touching(), ids...), micros(r.window.From), micros(r.window.To)), func(rows *sql.Rows) (struct{}, error) {
			var id restock.ProductID
			var refused restock.StockoutReport
			err := rows.Scan(&id, &refused.BuyersRefused, &refused.UnitsRefused, &refused.ValueLost)
			if p := byID[id]; p != nil {
				p.BuyersRefused, p.UnitsRefused, p.ValueLost = refused.BuyersRefused, refused.UnitsRefused, refused.ValueLost
			}
			return struct{}{}, err
		})
	return err
}

// farFuture ends what has not ended.
func farFuture() time.Time { return time.UnixMicro(1 << 60) }

// stopped is when advertisements did not run: from when that was said to the mail
// that they can resume.
func (r reporter) stopped(ctx context.Context, products []*reported) (map[restock.AdvertisementID][]restock.Span, error) {
	var ads []any
	seen := map[restock.AdvertisementID]bool{}
	for _, p := range products {
		if !p.advertisement.IsZero() && !seen[p.advertisement] {
			seen[p.advertisement] = true
			ads = append(ads, p.advertisement)
		}
	}
	stopped := map[restock.AdvertisementID][]restock.Span{}
	if len(ads) == 0 {
		return stopped, nil
	}
	_, err := collect(ctx, r.tx, `SELECT h.advertisement_id, h.stop_acknowledged_at, COALESCE(m.sent_at, m.tried_at)
		FROM ad_holds h LEFT JOIN ad_mails m ON m.hold_id = h.id AND m.kind = 'resume'
		WHERE h.advertisement_id IN (`+places(len(ads))+`) AND h.stop_acknowledged_at < ? AND h.state <> 'withdrawn'
		ORDER BY h.stop_acknowledged_at`, append(ads, micros(r.window.To)), func(rows *sql.Rows) (struct{}, error) {
		var id restock.AdvertisementID
		span := restock.Span{To: farFuture()}
		var resumed time.Time
		err := rows.Scan(&id, instant{&span.From}, instant{&resumed})
		if !resumed.IsZero() {
			span.To = resumed
		}
		stopped[id] = append(stopped[id], span)
		return struct{}{}, err
	})
	return stopped, err
}

// add counts a stockout. Its end is zero while it is open.
func (p *reported) add(o restock.Span, r reporter, stopped []restock.Span) {
	p.Stockouts++
	open := o.To.IsZero()
	if open {
		o.To = r.tx.now
	}
	p.Open = p.Open || open || !o.To.Before(r.window.To)
	inside := o.Within(r.window)
	p.out += inside.Length()
	if !open && o.To.Before(r.window.To) {
		p.Restocked++
		p.toRestock += o.Length()
		p.restockLongest = max(p.restockLongest, o.Length())
	}
	if p.advertisement.IsZero() {
		return
	}
	p.advertised += inside.Outside(stopped)
	for _, s := range stopped {
		if s.From.Before(o.From) || !s.From.Before(o.To) {
			continue
		}
		if !s.From.Before(r.window.From) { // the first answer; else it was said before the window
			p.Acknowledged++
			p.toAcknowledge += s.From.Sub(o.From)
			p.acknowledgeLongest = max(p.acknowledgeLongest, s.From.Sub(o.From))
		}
		return
	}
}

func (p *reported) finish() restock.StockoutReport {
	r := p.StockoutReport
	r.MinutesOutOfStock, r.MinutesAdvertised = restock.MinutesOf(p.out), restock.MinutesOf(p.advertised)
	if p.Acknowledged > 0 {
		r.MinutesToAcknowledge = restock.MinutesOf(p.toAcknowledge / time.Duration(p.Acknowledged))
		r.MinutesToAcknowledgeLongest = restock.MinutesOf(p.acknowledgeLongest)
	}
	if p.Restocked > 0 {
		r.MinutesToRestock = restock.MinutesOf(p.toRestock / time.Duration(p.Restocked))
		r.MinutesToRestockLongest = restock.MinutesOf(p.restockLongest)
	}
	return r
}
