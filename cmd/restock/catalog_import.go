package main

import (
	"fmt"
	"slices"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/store"
)

type catalogImportCommand struct {
	remote        `embed:""`
	URL           string `arg:"" help:"Where the tables product, factory and advertisement are: mysql://USER:PASSWORD@HOST/DATABASE"`
	DryRun        bool   `help:"Only show the differences."`
	OrderQuantity int64  `help:"What is ordered of a product that runs low; nothing is ordered when left out."`
	ReorderPoint  int64  `help:"A product is low at this stock."`
	Repeats       string `enum:"hold,apply" default:"hold" help:"What a factory's report means that came before: hold it for a person, or apply it as the next delivery."`
}

// Help is shown by restock catalog import-mysql --help.
func (catalogImportCommand) Help() string {
	return `Ids stay what they are, so that messages and addresses of existing parts are
understood. The stock becomes the opening stock of products that are new here. Where
another system goes on selling from product.stock, let restock use the same database:

Example:
  restock serve --db mysql://restock@db.example/shop --stock-table product …
  restock catalog import-mysql mysql://restock@db.example/shop --order-quantity 10`
}

func (i *catalogImportCommand) Run(c *console) error {
	catalog, err := store.ReadExisting(c.ctx, i.URL)
	if err != nil {
		return err
	}
	for n := range catalog.Products {
		p := &catalog.Products[n]
		p.OrderQuantity, p.ReorderPoint = i.OrderQuantity, i.ReorderPoint
		if p.Factory == "" {
			p.OrderQuantity, p.ReorderPoint = 0, 0 // there is nobody to order from
		}
	}
	for n := range catalog.Factories {
		catalog.Factories[n].Repeats = restock.Repeats(i.Repeats)
	}
	catalog.Fill()
	if err := catalog.Check(); err != nil {
		return fmt.Errorf("%s: %w", store.Redact(i.URL), err)
	}
	total := ops.CatalogResult{DryRun: i.DryRun, Changes: []restock.CatalogChange{}}
	apply := catalogApplyCommand{remote: i.remote, DryRun: i.DryRun}
	products := catalog.Products
	catalog.Products = nil
	for first := true; first || len(products) > 0; first = false {
		n := min(len(products), ops.PartProductsMax)
		part := catalog
		part.Products = slices.Clone(products[:n])
		result, err := apply.send(c, part)
		total.Changes = append(total.Changes, result.Changes...)
		if err != nil {
			return err
		}
		products, catalog.Factories, catalog.Advertisements = products[n:], nil, nil
	}
	if i.JSON {
		return printJSON(c, total)
	}
	printChanges(c, total)
	return nil
}
