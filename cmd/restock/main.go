// Command restock sells from stock, orders from factories when it runs low,
// receives the goods, and asks for advertisements to be stopped while there is
// nothing to sell. `restock demo` tells the whole story in seconds.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the release build.
const version = "0.1.0-dev"

// The exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// envPrefix begins the name of every environment variable. The settings of a
// service have one each, --public-url is RESTOCK_PUBLIC_URL; so has what names
// the server or the database. What a single command is asked for has none.
const envPrefix = "RESTOCK"

type commands struct {
	Serve     serveCommand     `cmd:"" help:"Sell, order, receive and tell: run the service."`
	Demo      demoCommand      `cmd:"" help:"Tell the whole story on this machine, in seconds."`
	Drill     drillCommand     `cmd:"" help:"Let a factory misbehave in every way, and check what comes of it."`
	Factory   factoryCommand   `cmd:"" help:"Run a simulated factory."`
	Catalog   catalogCommand   `cmd:"" help:"Factories, advertisements, products and their policies."`
	Status    statusCommand    `cmd:"" help:"What is going on, in one screen."`
	Ready     readyCommand     `cmd:"" help:"Whether the server of this machine is ready, for health checks."`
	Products  productsCommand  `cmd:"" help:"Products and their stock."`
	Stock     stockCommand     `cmd:"" help:"Change stock by hand: adjust, or book a stocktake."`
	Sales     salesCommand     `cmd:"" help:"What was sold."`
	Orders    ordersCommand    `cmd:"" help:"Replenishment orders: their attempts, why they were made, and what a person can do."`
	Receipts  receiptsCommand  `cmd:"" help:"What the factories reported; approve, refuse, or book goods by hand."`
	Ordering  orderingCommand  `cmd:"" help:"Stop ordering and let it go on: pause, resume, snooze, status."`
	Factories factoriesCommand `cmd:"" help:"The factories that are ordered from: static secrets for callbacks."`
	Audit     auditCommand     `cmd:"" help:"What people decided, and why."`
	Stockouts stockoutsCommand `cmd:"" help:"When there was nothing to sell, and who was turned away."`
	Ads       adsCommand       `cmd:"" help:"What ad managers were asked, and whether they answered."`
	Webhooks  webhooksCommand  `cmd:"" help:"Other programs that are told of events: subscribe, deliveries, send again."`
	Dead      deadCommand      `cmd:"" help:"The dead-letter desk: messages that could not be handled."`
	Queue     queueCommand     `cmd:"" help:"The queue engine: what lies there, and making what it needs."`
	Verify    verifyCommand    `cmd:"" help:"Hold the promises against the raw rows of the database."`
	Migrate   migrateCommand   `cmd:"" help:"Bring the schema of the database up to date."`
	Backup    backupCommand    `cmd:"" help:"Copy the database and its keys, also beside a running server."`
	Restore   restoreCommand   `cmd:"" help:"Bring a backup back, with ordering paused."`
	Move      moveCommand      `cmd:"" help:"Carry a shop from its file to a database server."`
	Config    configCommand    `cmd:"" help:"The configuration."`
	Mail      mailCommand      `cmd:"" help:"The mails."`
	Version   versionCommand   `cmd:"" help:"Print the version."`

	CallbackKeys callbackKeysCommand `cmd:"" help:"The keys that sign callback addresses."`

	Function functionCommand `cmd:"" hidden:"" help:"Run a function of AWS Lambda; Lambda does."`
}

// console is where a command talks to its user.
type console struct {
	ctx    context.Context //nolint:containedctx // it is the life of the process.
	out    io.Writer
	errOut io.Writer
}

func (c *console) printf(format string, args ...any) { fmt.Fprintf(c.out, format, args...) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the whole program; tests call it too.
func run(ctx context.Context, args, environ []string, out, errOut io.Writer) int {
	var cli commands
	exited := -1
	parser, err := kong.New(&cli,
		kong.Name("restock"),
		kong.Description("Automatic stock replenishment. Begin with: restock demo"),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(errOut, "restock:", err)
		return exitFailed
	}
	warnUnknownEnvironment(parser.Model.Node, environ, errOut)
	if len(args) == 0 {
		args = []string{"--help"}
		if isFunction(environ) {
			args = []string{"function"}
		}
	}
	command, err := parser.Parse(args)
	if exited >= 0 { // --help was printed
		return exited
	}
	if err != nil {
		fmt.Fprintf(errOut, "restock: %v\nSee restock --help.\n", err)
		return exitUsage
	}
	if err := command.Run(&console{ctx: ctx, out: out, errOut: errOut}); err != nil {
		if !errors.Is(err, errSaid) {
			fmt.Fprintln(errOut, "restock:", err)
		}
		return exitFailed
	}
	return exitOK
}

// errSaid ends a command that has already said what is wrong.
var errSaid = errors.New("said")

// warnUnknownEnvironment tells of names that begin like ours and set nothing.
func warnUnknownEnvironment(root *kong.Node, environ []string, errOut io.Writer) {
	known := map[string]bool{}
	_ = kong.Visit(root, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			for _, name := range flag.Envs {
				known[name] = true
			}
		}
		return next(nil)
	})
	for _, entry := range slices.Sorted(slices.Values(environ)) {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix+"_") && !known[name] {
			fmt.Fprintf(errOut, "restock: warning: the environment variable %s sets nothing\n", name)
		}
	}
}

type versionCommand struct{}

func (versionCommand) Run(c *console) error {
	c.printf("restock %s\n", version)
	return nil
}
