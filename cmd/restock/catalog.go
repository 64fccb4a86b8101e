package main

import (
	_ "embed"
	"net/http"
	"net/url"
	"os"

	"github.com/restock/restock/internal/ops"
)

//go:embed example.yaml
var exampleCatalog string

type catalogCommand struct {
	Example catalogExampleCommand `cmd:"" help:"Print a catalogue to begin with."`
	Apply   catalogApplyCommand   `cmd:"" help:"Bring the store in line with a catalogue file."`
	Export  catalogExportCommand  `cmd:"" help:"Print the catalogue as the store has it."`
}

type catalogExampleCommand struct{}

func (catalogExampleCommand) Run(c *console) error {
	c.printf("%s", exampleCatalog)
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
	text, err := os.ReadFile(a.File)
	if err != nil {
		return err
	}
	if _, err := ops.ParseCatalog(text); err != nil { // say it here, without a server
		return err
	}
	q := url.Values{}
	if a.DryRun {
		q.Set("dry_run", "true")
	}
	var result ops.CatalogResult
	if err := a.call(c, http.MethodPost, "/v1/catalog", q, text, &result); err != nil {
		return err
	}
	if a.JSON {
		return printJSON(c, result)
	}
	for _, change := range result.Changes {
		if change.Field == "" {
			c.printf("+ %s %s\n", change.Kind, change.Name)
			continue
		}
		c.printf("~ %s %s: %s %q → %q\n", change.Kind, change.Name, change.Field, change.Old, change.New)
	}
	c.printf("%d changes%s\n", len(result.Changes), map[bool]string{true: " would be made", false: ""}[a.DryRun])
	return nil
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
