package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"net/http"
	"net/url"
	"os"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
)

//go:embed example.yaml
var exampleCatalog string

type catalogCommand struct {
	Example catalogExampleCommand `cmd:"" help:"Print a catalogue to begin with."`
	Apply   catalogApplyCommand   `cmd:"" help:"Bring the store in line with a catalogue file."`
	Import  catalogImportCommand  `cmd:"" name:"import-mysql" help:"Take over the products, factories and advertisements of the tables that were there before."`
	Export  catalogExportCommand  `cmd:"" help:"Print the catalogue as the store has it."`
}

type catalogExampleCommand struct {
	Products int `default:"1" help:"How many products; more than one makes a catalogue to try things with."`
}

func (e *catalogExampleCommand) Run(c *console) error { //nolint:unparam // kong wants an error.
	c.printf("%s", exampleCatalog)
	for n := 2; n <= e.Products; n++ {
		if (n-2)%ops.PartProductsMax == 0 {
			c.printf("---\nproducts:\n")
		}
		c.printf("  - {sku: TRY-%07d, name: Donut %d, price: %d, unit_cost: 7000, opening_stock: 100, factory: FF-500293, reorder_point: 10, order_up_to: 100}\n",
			n, n, 1000+n%100*100)
	}
	return nil
}

type catalogApplyCommand struct {
	remote `embed:""`
	File   string `arg:"" type:"existingfile" help:"The catalogue file."`
	DryRun bool   `help:"Only show the differences."`
}

// Help is shown by restock catalog apply --help.
func (catalogApplyCommand) Help() string {
	return `What the file names is created or changed; what it does not name stays. The opening
stock counts only for products that are new.

Example:
  restock catalog apply catalog.yaml --dry-run`
}

func (a *catalogApplyCommand) Run(c *console) error {
	if err := a.read(func(restock.Catalog) error { return nil }); err != nil { // all mistakes, before anything is changed
		return err
	}
	total := ops.CatalogResult{DryRun: a.DryRun, Changes: []restock.CatalogChange{}}
	progress := newProgress(c, "products")
	err := a.read(func(part restock.Catalog) error {
		result, err := a.send(c, part)
		total.Changes = append(total.Changes, result.Changes...)
		progress.add(len(part.Products))
		return err
	})
	progress.end()
	if err != nil {
		return err
	}
	if a.JSON {
		return printJSON(c, total)
	}
	printChanges(c, total)
	return nil
}

func (a *catalogApplyCommand) read(use func(restock.Catalog) error) error {
	f, err := os.Open(a.File)
	if err != nil {
		return err
	}
	defer f.Close() // it is only read
	return ops.ReadCatalog(bufio.NewReaderSize(f, 1<<20), use)
}

func (a *catalogApplyCommand) send(c *console, part restock.Catalog) (ops.CatalogResult, error) {
	var result ops.CatalogResult
	text, err := json.Marshal(part)
	if err != nil {
		return result, err
	}
	q := url.Values{}
	if a.DryRun {
		q.Set("dry_run", "true")
	}
	err = a.call(c, http.MethodPost, "/v1/catalog", q, text, &result)
	return result, err
}

// changesShown bounds the changes that are printed one by one.
const changesShown = 200

func printChanges(c *console, result ops.CatalogResult) {
	for _, change := range result.Changes[:min(len(result.Changes), changesShown)] {
		if change.Field == "" {
			c.printf("+ %s %s\n", change.Kind, change.Name)
			continue
		}
		c.printf("~ %s %s: %s %q → %q\n", change.Kind, change.Name, change.Field, change.Old, change.New)
	}
	if more := len(result.Changes) - changesShown; more > 0 {
		c.printf("… and %d more; --json prints all\n", more)
	}
	c.printf("%d changes%s\n", len(result.Changes), map[bool]string{true: " would be made", false: ""}[result.DryRun])
}

type catalogExportCommand struct {
	remote `embed:""`
}

func (e *catalogExportCommand) Run(c *console) error {
	text, err := e.fetch(c, http.MethodGet, "/v1/catalog", nil, nil)
	if err != nil {
		return err
	}
	c.printf("%s", text)
	return nil
}
