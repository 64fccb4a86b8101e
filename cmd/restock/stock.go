package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
)

type stockCommand struct {
	Adjust stockAdjustCommand `cmd:"" help:"Change on hand by a quantity, with a reason."`
	Count  stockCountCommand  `cmd:"" help:"Book a stocktake: on hand becomes what was counted."`
	List   stockListCommand   `cmd:"" help:"List adjustments, newest first."`
}

// byHand is what both ways of changing stock share.
type byHand struct {
	remote       `embed:""`
	SKU          string `arg:"" help:"The product's SKU, slug or id."`
	Reason       string `required:"" help:"Why; it stays in the ledger."`
	FreeYoungest bool   `help:"Let the youngest reservations go if too little is left for all."`
}

func (b *byHand) book(c *console, body ops.AdjustmentBody) error {
	body.SKU, body.Reason, body.FreeYoungest = b.SKU, b.Reason, b.FreeYoungest
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	var done restock.Adjustment
	if err := b.call(c, http.MethodPost, "/v1/adjustments", nil, text, &done); err != nil {
		return err
	}
	if b.JSON {
		return printJSON(c, done)
	}
	c.printf("%s: %+d, now %d on hand\n", done.SKU, done.Quantity, done.OnHand)
	for _, id := range done.Released {
		c.printf("released reservation %s\n", id)
	}
	return nil
}

type stockAdjustCommand struct {
	byHand   `embed:""`
	Quantity int64 `arg:"" help:"The signed difference: -2 or 10. Write -- before a negative one."`
}

// Help is shown by restock stock adjust --help.
func (stockAdjustCommand) Help() string {
	return `Example:
  restock stock adjust --reason damaged CP-502101 -- -2`
}

func (s *stockAdjustCommand) Run(c *console) error {
	return s.book(c, ops.AdjustmentBody{Quantity: &s.Quantity})
}

type stockCountCommand struct {
	byHand  `embed:""`
	Counted int64 `arg:"" help:"How many pieces are there."`
}

// Help is shown by restock stock count --help.
func (stockCountCommand) Help() string {
	return `Example:
  restock stock count --reason "stocktake in March" CP-502101 17`
}

func (s *stockCountCommand) Run(c *console) error {
	return s.book(c, ops.AdjustmentBody{Counted: &s.Counted})
}

type stockListCommand struct {
	listing `embed:""`
}

func (s *stockListCommand) Run(c *console) error {
	return show(c, &s.listing, "/v1/adjustments", s.query(), "Nothing was adjusted by hand.", "AT\tSKU\tBY\tCOUNTED\tON HAND\tREASON",
		func(a restock.Adjustment) []any {
			counted := "-"
			if a.Counted != nil {
				counted = strconv.FormatInt(*a.Counted, 10)
			}
			return []any{when(a.At), a.SKU, fmt.Sprintf("%+d", a.Quantity), counted, a.OnHand, a.Reason}
		})
}
