package main

import (
	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
)

type factoriesCommand struct {
	Secret factorySecretCommand `cmd:"" help:"Static secrets for callbacks of orders that another system's worker places: make, list, remove."`
}

type factorySecretCommand struct {
	List   factorySecretListCommand   `cmd:"" default:"withargs" help:"List the secrets of all factories, without telling them."`
	Make   factorySecretMakeCommand   `cmd:"" help:"Make a secret and show it once; those before it stay good."`
	Remove factorySecretRemoveCommand `cmd:"" help:"Believe nobody any more for a secret."`
}

const vouchersPath = "/v1/factory-secrets"

type factorySecretListCommand struct {
	listing `embed:""`
}

func (f *factorySecretListCommand) Run(c *console) error {
	return show(c, &f.listing, vouchersPath, f.query(),
		"No factory has a secret: what comes without a token of ours is believed of none; restock factories secret make IDENTIFIER --reason …",
		"SECRET\tFACTORY\tMADE\tUSED LAST",
		func(s restock.FactorySecret) []any { return []any{s.ID, s.Factory, when(s.CreatedAt), when(s.UsedAt)} })
}

type factorySecretMakeCommand struct {
	person  `embed:""`
	Factory string `arg:"" help:"The factory's identifier."`
}

// Help is shown by restock factories secret make --help.
func (factorySecretMakeCommand) Help() string {
	return `Where the worker of another system orders, it gives the factory an address that
carries no token of ours. Let it give the address that this command prints: the
secret in it says who calls. To change it, make another, give that to the worker,
and remove the first when nothing comes with it any more (USED LAST of the list).

Examples:
  restock factories secret make FF-500293 --reason "the old worker orders there"
  restock factories secret list
  restock factories secret remove FF-500293 k5dq2vzn --reason "the worker has a new one"`
}

func (f *factorySecretMakeCommand) Run(c *console) error {
	var secret restock.FactorySecret
	if err := f.post(c, vouchersPath, ops.FactorySecretBody{ActBody: f.act(), Factory: f.Factory}, &secret); err != nil {
		return err
	}
	if f.JSON {
		return printJSON(c, secret)
	}
	c.printf("secret %s of %s: %s\n", secret.ID, printable(secret.Factory), secret.Secret)
	c.printf("It is shown only now. The worker gives the factory this CallbackUrl:\n  %s\n", secret.CallbackURL)
	c.printf("PRODUCT counts only when the body names none in MessageAttributeProductId.\n")
	return nil
}

type factorySecretRemoveCommand struct {
	person  `embed:""`
	Factory string `arg:"" help:"The factory's identifier."`
	ID      string `arg:"" name:"secret" help:"The first eight letters of the secret, as the list shows them."`
}

// Help is shown by restock factories secret remove --help.
func (factorySecretRemoveCommand) Help() string {
	return `What comes with it from now on is held for a person. Example:
  restock factories secret remove FF-500293 k5dq2vzn --reason "it was in a log"`
}

func (f *factorySecretRemoveCommand) Run(c *console) error {
	body := ops.FactorySecretBody{ActBody: f.act(), Factory: f.Factory, ID: f.ID}
	var secret restock.FactorySecret
	if err := f.post(c, vouchersPath+"/remove", body, &secret); err != nil {
		return err
	}
	if f.JSON {
		return printJSON(c, secret)
	}
	c.printf("secret %s of %s is removed\n", secret.ID, printable(secret.Factory))
	return nil
}
