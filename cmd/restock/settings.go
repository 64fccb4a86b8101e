package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	netmail "net/mail"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "time/tzdata" // the binary knows every time zone on any machine

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/webhook"
)

// settings is the configuration of a service. Every setting is a flag, an
// environment variable RESTOCK_… and has a default; none is needed to run.
type settings struct {
	Listen      string   `env:"RESTOCK_LISTEN" default:"127.0.0.1:8080" help:"Where buyers and factories reach us."`
	AdminListen string   `env:"RESTOCK_ADMIN_LISTEN" help:"Where operators reach the dashboard and /v1; the same as --listen when that is loopback."`
	Data        string   `env:"RESTOCK_DATA" default:"restock-data" type:"path" help:"Folder of the database, the keys and the mails."`
	DB          string   `env:"RESTOCK_DB" name:"db" placeholder:"URL" help:"Database: sqlite:PATH, mysql://USER:PASSWORD@HOST/NAME or postgres://…; sqlite:restock.db in the data folder when left out."`
	StockTable  string   `env:"RESTOCK_STOCK_TABLE" placeholder:"TABLE" help:"Mixed mode: the table of another system that owns the stock, in the same MySQL, such as product; none ends it."`
	Queue       string   `env:"RESTOCK_QUEUE" default:"db:" placeholder:"URL" help:"Queue engine; db: keeps messages in the database."`
	QueueBefore []string `env:"RESTOCK_QUEUE_BEFORE" sep:" " placeholder:"URL" help:"Queue engines used before, whose passwords are needed to move what still waits there."`
	Mail        string   `env:"RESTOCK_MAIL" default:"file:" placeholder:"URL" help:"How mail is sent: file:[DIR], smtp://USER:PASSWORD@HOST:PORT, smtps://… or ses:REGION"`

	MailFrom                    string `env:"RESTOCK_MAIL_FROM" default:"restock@localhost" help:"Sender of all mails."`
	OperationsEmail             string `env:"RESTOCK_OPERATIONS_EMAIL" default:"operations@localhost" help:"Who is told of everything abnormal."`
	OperationsWebhook           string `env:"RESTOCK_OPERATIONS_WEBHOOK" placeholder:"URL" help:"Where operations are told beside the mail, by a POST with JSON."`
	OperationsWebhookSecretFile string `env:"RESTOCK_OPERATIONS_WEBHOOK_SECRET_FILE" type:"path" placeholder:"FILE" help:"The secret, whsec_ and base64, that signs these POSTs as Standard Webhooks says."`

	PublicURL string `env:"RESTOCK_PUBLIC_URL" placeholder:"URL" help:"Where factories and ad managers reach us from outside; the listen address when left out."`

	Roles   []string `env:"RESTOCK_ROLES" default:"all" help:"What this process does: sales, replenish, arrivals, ads, ops, hooks, dashboard, relay, or all."`
	Catalog string   `env:"RESTOCK_CATALOG" type:"path" placeholder:"FILE" help:"Create what this catalogue names and is missing; see restock catalog example."`

	OperatorTokenFile string `env:"RESTOCK_OPERATOR_TOKEN_FILE" type:"path" placeholder:"FILE" help:"The operator's token; made in the data folder when left out."`
	ViewerTokenFile   string `env:"RESTOCK_VIEWER_TOKEN_FILE" type:"path" placeholder:"FILE" help:"A token that opens the dashboard for reading alone; nobody has one when left out."`
	CallbackKeysFile  string `env:"RESTOCK_CALLBACK_KEYS_FILE" type:"path" placeholder:"FILE" help:"Keys that sign callback addresses; made with a new database when left out."`

	Timezone       string        `env:"RESTOCK_TIMEZONE" default:"Asia/Seoul" help:"Zone of the times in mails."`
	RefusedStatus  int           `env:"RESTOCK_REFUSED_STATUS" default:"409" help:"HTTP status of a purchase refused for lack of stock: 409, or 200 for old clients."`
	CallbackWindow time.Duration `env:"RESTOCK_CALLBACK_WINDOW" default:"1m" help:"The least time a factory has to call back before its order is overdue."`
	FactoryTimeout time.Duration `env:"RESTOCK_FACTORY_TIMEOUT" default:"15s" help:"The longest that one call to a factory may take, its answer included."`
	SweepInterval  time.Duration `env:"RESTOCK_SWEEP_INTERVAL" default:"10s" help:"How often what was missed is looked for."`
	RetryBase      time.Duration `env:"RESTOCK_RETRY_BASE" default:"1s" help:"Delay before a failed message is tried again; it doubles each time."`
	AlertGap       time.Duration `env:"RESTOCK_ALERT_GAP" default:"1m" help:"The least time between two mails to operations."`
	QueueAgeLimit  time.Duration `env:"RESTOCK_QUEUE_AGE_LIMIT" default:"15m" help:"How long the oldest message of a queue may wait before operations are told."`
	RelayAgeLimit  time.Duration `env:"RESTOCK_RELAY_AGE_LIMIT" default:"5m" help:"The same for messages that are to go to a broker."`
	EngineAway     time.Duration `env:"RESTOCK_ENGINE_AWAY_LIMIT" name:"engine-away-limit" default:"1m" help:"How long a broker may not answer before operations are told."`
	AdReminder     time.Duration `env:"RESTOCK_AD_REMINDER" default:"1h" help:"How long an ad manager may take to answer before a reminder."`
	AdEscalation   time.Duration `env:"RESTOCK_AD_ESCALATION" default:"4h" help:"How long an ad manager may take before operations are told."`
	AdSpacing      time.Duration `env:"RESTOCK_AD_SPACING" default:"10m" help:"The least time between two mails that ask to stop the same advertisement."`
	Retention      time.Duration `env:"RESTOCK_RETENTION" default:"168h" help:"How long handled messages are kept."`
	KeyRetention   time.Duration `env:"RESTOCK_KEY_RETENTION" default:"48h" help:"How long an Idempotency-Key is remembered; at least 24h."`

	WebhookAllow    []string        `env:"RESTOCK_WEBHOOK_ALLOW" placeholder:"CIDR" help:"Networks inside that webhooks may be sent to; only the public internet when left out."`
	WebhookTimeout  time.Duration   `env:"RESTOCK_WEBHOOK_TIMEOUT" default:"10s" help:"How long a receiver of webhooks may take to answer."`
	WebhookRetries  []time.Duration `env:"RESTOCK_WEBHOOK_RETRIES" default:"5s,5m,30m,2h,5h,10h,14h,20h,24h" help:"The delays before a webhook that failed is sent again; then it is a dead letter."`
	WebhookAgeLimit time.Duration   `env:"RESTOCK_WEBHOOK_AGE_LIMIT" default:"1h" help:"How long a receiver of webhooks may fail before operations are told."`
	EventRetention  time.Duration   `env:"RESTOCK_EVENT_RETENTION" default:"720h" help:"How long events are kept for those who ask for them with /v1/events."`

	CheckoutRate   float64  `env:"RESTOCK_CHECKOUT_RATE" placeholder:"N" help:"Checkouts a second that one client address may send; any number when left out."`
	TrustedProxies []string `env:"RESTOCK_TRUSTED_PROXIES" placeholder:"CIDR" help:"Proxies whose X-Forwarded-For tells the client's address."`
	CORSOrigins    []string `env:"RESTOCK_CORS_ORIGINS" name:"cors-origins" default:"*" help:"Browser pages that may call the product page and the checkout."`
	SalesTokenFile string   `env:"RESTOCK_SALES_TOKEN_FILE" type:"path" placeholder:"FILE" help:"When given, a checkout needs this token: then only the shop's backend sells."`

	LogLevel slog.Level `env:"RESTOCK_LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
}

// keyRetentionMin is the least time that a repeated request is known.
const keyRetentionMin = 24 * time.Hour

// The files of the data folder.
const (
	databaseFile = "restock.db"
	tokenFile    = "operator-token"
	keysFile     = "callback-keys"
	mailFolder   = "mail"
	lockFile     = "lock"
	openingLock  = "lock-opening"
	serverFile   = "server"
)

func (s *settings) path(name string) string { return filepath.Join(s.Data, name) }

func (s *settings) databaseURL() string {
	if s.DB != "" {
		return s.DB
	}
	return "sqlite:" + s.path(databaseFile)
}

func (s *settings) mailURL() string {
	if s.Mail == "file:" {
		return "file:" + s.path(mailFolder)
	}
	return s.Mail
}

func (s *settings) tokenPath() string { return orDefault(s.OperatorTokenFile, s.path(tokenFile)) }

func (s *settings) keysPath() string { return orDefault(s.CallbackKeysFile, s.path(keysFile)) }

func orDefault(value, standard string) string {
	if value == "" {
		return standard
	}
	return value
}

// checkDatabase reports an address that is none, and a server whose processes
// would each make callback keys of their own.
func (s *settings) checkDatabase() error {
	if err := store.CheckURL(s.databaseURL()); err != nil {
		return fmt.Errorf("--db: %w", err)
	}
	if store.OnServer(s.databaseURL()) && s.CallbackKeysFile == "" {
		return errors.New("--callback-keys-file: a database on a server needs it, the same for all processes; " +
			"`restock callback-keys make FILE` makes one")
	}
	return nil
}

// check reports all mistakes at once.
func (s *settings) check() error {
	var mistakes []error
	mistake := func(format string, args ...any) { mistakes = append(mistakes, fmt.Errorf(format, args...)) }
	for _, name := range s.Roles {
		if name != allRoles && !slices.Contains(roleNames(), name) {
			mistake("--roles: there is no role %q; take from %s or all", name, strings.Join(roleNames(), ", "))
		}
	}
	for _, raw := range append([]string{s.Queue}, s.QueueBefore...) {
		if raw != restock.EmbeddedEngine && !brokerScheme(raw) {
			mistakes = append(mistakes, unknownEngine(raw))
		}
	}
	if _, err := time.LoadLocation(s.Timezone); err != nil {
		mistake("--timezone: %q is not a time zone such as Asia/Seoul", s.Timezone)
	}
	if s.RefusedStatus != 409 && s.RefusedStatus != 200 {
		mistake("--refused-status: %d must be 409 or 200", s.RefusedStatus)
	}
	if err := s.checkDatabase(); err != nil {
		mistakes = append(mistakes, err)
	}
	if err := mail.Check(s.mailURL()); err != nil {
		mistake("--mail: %w", err)
	}
	if s.KeyRetention < keyRetentionMin {
		mistake("--key-retention: must be at least %s: a buyer may repeat a request that long", keyRetentionMin)
	}
	if s.CheckoutRate < 0 {
		mistake("--checkout-rate: must not be below 0")
	}
	mistakes = append(mistakes, s.checkNets()...)
	mistakes = append(mistakes, s.checkValues()...)
	mistakes = append(mistakes, s.checkAddresses()...)
	mistakes = append(mistakes, s.checkWebhook())
	return errors.Join(mistakes...)
}

func (s *settings) checkNets() []error {
	_, proxies := parseNets("--trusted-proxies", s.TrustedProxies)
	_, inner := parseNets("--webhook-allow", s.WebhookAllow)
	return []error{proxies, inner}
}

func (s *settings) checkWebhook() error {
	if s.OperationsWebhook == "" {
		if s.OperationsWebhookSecretFile != "" {
			return errors.New("--operations-webhook-secret-file: give --operations-webhook, too")
		}
		return nil
	}
	if err := webhook.Check(s.OperationsWebhook); err != nil {
		return fmt.Errorf("--operations-webhook: %w", err)
	}
	return nil
}

func (s *settings) checkValues() []error {
	var mistakes []error
	for _, f := range []struct{ flag, address string }{{"--mail-from", s.MailFrom}, {"--operations-email", s.OperationsEmail}} {
		if _, err := netmail.ParseAddress(f.address); err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %q is not an e-mail address", f.flag, f.address))
		}
	}
	for _, f := range []struct {
		flag string
		d    time.Duration
	}{
		{"--callback-window", s.CallbackWindow},
		{"--factory-timeout", s.FactoryTimeout},
		{"--sweep-interval", s.SweepInterval},
		{"--retry-base", s.RetryBase},
		{"--alert-gap", s.AlertGap},
		{"--queue-age-limit", s.QueueAgeLimit},
		{"--relay-age-limit", s.RelayAgeLimit},
		{"--engine-away-limit", s.EngineAway},
		{"--ad-reminder", s.AdReminder},
		{"--ad-escalation", s.AdEscalation},
		{"--ad-spacing", s.AdSpacing},
		{"--retention", s.Retention},
		{"--webhook-timeout", s.WebhookTimeout},
		{"--webhook-age-limit", s.WebhookAgeLimit},
		{"--event-retention", s.EventRetention},
	} {
		if f.d <= 0 {
			mistakes = append(mistakes, fmt.Errorf("%s: must be above 0", f.flag))
		}
	}
	if slices.ContainsFunc(s.WebhookRetries, func(d time.Duration) bool { return d <= 0 }) {
		mistakes = append(mistakes, errors.New("--webhook-retries: each must be above 0"))
	}
	if s.AdEscalation <= s.AdReminder && s.AdEscalation > 0 {
		mistakes = append(mistakes, errors.New("--ad-escalation: must be above --ad-reminder"))
	}
	return mistakes
}

func (s *settings) checkAddresses() []error {
	var mistakes []error
	for _, f := range []struct{ flag, address string }{{"--listen", s.Listen}, {"--admin-listen", s.AdminListen}} {
		if f.address != "" && !isHostPort(f.address) {
			mistakes = append(mistakes, fmt.Errorf("%s: %q must be HOST:PORT", f.flag, f.address))
		}
	}
	if isHostPort(s.Listen) && !isLoopback(s.Listen) && s.AdminListen == "" {
		mistakes = append(mistakes, errors.New("--admin-listen: give it when --listen is not loopback, so that /v1 is not open to everybody"))
	}
	if s.PublicURL == "" {
		return mistakes
	}
	if u, err := url.Parse(s.PublicURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" {
		mistakes = append(mistakes, fmt.Errorf("--public-url: %q must be http:// or https:// with a host and no query", s.PublicURL))
	}
	return mistakes
}

func isHostPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// isLoopback reports whether only this machine reaches an address.
func isLoopback(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// checkReach reports factories that could never call back: a loopback public
// URL means another machine to a factory that is elsewhere.
func checkReach(publicURL string, factories []restock.CatalogFactory) error {
	own, err := url.Parse(publicURL)
	if err != nil || !isLoopback(own.Hostname()) {
		return err
	}
	for _, f := range factories {
		u, err := url.Parse(f.URL)
		if err != nil || isLoopback(u.Hostname()) {
			continue
		}
		return restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"factory %s at %s cannot call back to %s, which means its own machine there; give --public-url", f.Identifier, u.Host, publicURL)
	}
	return nil
}

// readSecret reads a file of the data folder, or makes it from fresh.
func readSecret(path string, fresh func() string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil || !errors.Is(err, os.ErrNotExist) || fresh == nil {
		return string(text), err
	}
	return writeSecret(path, fresh())
}

// writeSecret writes a secret whole and durably, or not at all. A file that root
// replaces keeps its owner, so that a server under another user still reads it.
func writeSecret(path, text string) (string, error) {
	const ownerOnly = 0o600
	temporary, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(temporary.Name()) // it was renamed, or is of no use.
	_, err = temporary.WriteString(text)
	err = errors.Join(err, temporary.Chmod(ownerOnly), keepOwner(temporary, path), temporary.Sync(), temporary.Close())
	if err != nil {
		return "", err
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return "", err
	}
	return text, syncFolder(filepath.Dir(path))
}

func keepOwner(f *os.File, replaced string) error {
	if os.Geteuid() != 0 {
		return nil // nobody else may give files away
	}
	info, err := os.Stat(replaced)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}

// syncFolder makes the names in a folder durable: a file that was renamed is
// else the old one again after a power cut.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
