package jetstream

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	schemeNATS = "nats"
	schemeTLS  = "tls"

	portDefault     = "4222"
	streamDefault   = "restock"
	replicasDefault = 1
	replicasMax     = 5 // a limit of JetStream
	nameRunesMax    = 200
)

// address is what a URL says.
type address struct {
	servers  string // as nats.Connect takes them
	login    *url.Userinfo
	stream   string
	replicas int
	creds    string
	ca       string
	cert     string
	key      string
}

// names are those that may be the name of a stream or consumer, and a part of
// a subject, at once.
var names = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// parseURL reads the URL that the package comment describes. Errors never quote
// it, since a password may be anywhere in a wrong one.
func parseURL(raw string) (address, error) {
	at, err := readURL(raw)
	if err != nil {
		return address{}, fmt.Errorf("the queue URL %w; it looks like "+
			"nats://user:password@host:4222,host2:4222?stream=restock&replicas=3, "+
			"with special characters in user and password percent-encoded", err)
	}
	return at, nil
}

func readURL(raw string) (address, error) {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found || (scheme != schemeNATS && scheme != schemeTLS) {
		return address{}, errors.New("does not begin with nats:// or tls://")
	}
	rest, query, _ := strings.Cut(rest, "?")
	at := address{stream: streamDefault, replicas: replicasDefault}
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		login, err := readLogin(rest[:i])
		if err != nil {
			return address{}, err
		}
		at.login, rest = login, rest[i+1:]
	}
	hosts, path, _ := strings.Cut(rest, "/")
	if path != "" {
		return address{}, errors.New("has a path; options follow a question mark")
	}
	servers, err := readHosts(scheme, hosts)
	if err != nil {
		return address{}, err
	}
	at.servers = servers
	values, err := url.ParseQuery(query)
	if err != nil {
		return address{}, errors.New("has options that cannot be read: a percent sign must be written %25")
	}
	if err := at.readOptions(values); err != nil {
		return address{}, err
	}
	return at, at.check()
}

func readLogin(text string) (*url.Userinfo, error) {
	user, password, both := strings.Cut(text, ":")
	var errs [2]error
	user, errs[0] = url.PathUnescape(user)
	password, errs[1] = url.PathUnescape(password)
	switch {
	case errors.Join(errs[:]...) != nil:
		return nil, errors.New("has a user or password with a percent sign that is not written %25")
	case user == "":
		return nil, errors.New("has an @ but no user before it")
	case both && password == "":
		return nil, errors.New("has a user with an empty password")
	case both:
		return url.UserPassword(user, password), nil
	}
	return url.User(user), nil
}

func readHosts(scheme, text string) (string, error) {
	var servers []string
	for host := range strings.SplitSeq(text, ",") {
		if host == "" {
			return "", errors.New("lacks a host")
		}
		if _, rest, _ := strings.Cut(host, "]"); !strings.Contains(cmp.Or(rest, host), ":") || strings.HasSuffix(host, "]") {
			host += ":" + portDefault
		}
		name, port, err := net.SplitHostPort(host)
		if err != nil || name == "" || strings.ContainsAny(name, "#%[] ") {
			return "", fmt.Errorf("has a host that is not one (the last of %d)", len(servers)+1)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("has a port that is not a number from 1 to 65535 (at host %d)", len(servers)+1)
		}
		servers = append(servers, scheme+"://"+net.JoinHostPort(name, port))
	}
	return strings.Join(servers, ","), nil
}

func (at *address) readOptions(values url.Values) error {
	for option, all := range values {
		value := all[0]
		switch {
		case len(all) > 1:
			return fmt.Errorf("gives the option %s %d times", option, len(all))
		case value == "":
			return fmt.Errorf("has an empty option %s", option)
		}
		switch option {
		case "stream":
			at.stream = value
		case "replicas":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 || n > replicasMax {
				return fmt.Errorf("has replicas=%s, which is not a number from 1 to %d", value, replicasMax)
			}
			at.replicas = n
		case "creds":
			at.creds = value
		case "ca":
			at.ca = value
		case "cert":
			at.cert = value
		case "key":
			at.key = value
		default:
			return fmt.Errorf("has an option %q that is not known; known are stream, replicas, creds, ca, cert and key", option)
		}
	}
	return nil
}

// check says what fits together of what was read. Files are looked at now: the
// connection would look for them for ever and say little.
func (at *address) check() error {
	if !names.MatchString(at.stream) || len(at.stream) > nameRunesMax {
		return fmt.Errorf("has the stream name %q; allowed are letters, digits, - and _", at.stream)
	}
	if strings.HasSuffix(at.stream, driver.DeadLetterSuffix) {
		return fmt.Errorf("has the stream name %q; names with %s are those of dead letters", at.stream, driver.DeadLetterSuffix)
	}
	if (at.cert == "") != (at.key == "") {
		return errors.New("has only one of cert and key; they belong together")
	}
	if at.creds != "" && at.login != nil {
		return errors.New("has a user and creds; the server looks at one of them")
	}
	for option, file := range map[string]string{"creds": at.creds, "ca": at.ca, "cert": at.cert, "key": at.key} {
		if file == "" {
			continue
		}
		if _, err := os.ReadFile(file); err != nil {
			return fmt.Errorf("names a file in %s that cannot be read: %w", option, err)
		}
	}
	return nil
}

// options are those of the connection that the URL decides.
func (at *address) options() []nats.Option {
	var options []nats.Option
	if at.login != nil {
		if password, both := at.login.Password(); both {
			options = append(options, nats.UserInfo(at.login.Username(), password))
		} else {
			options = append(options, nats.Token(at.login.Username()))
		}
	}
	if at.creds != "" {
		options = append(options, nats.UserCredentials(at.creds))
	}
	if at.ca != "" {
		options = append(options, nats.RootCAs(at.ca))
	}
	if at.cert != "" {
		options = append(options, nats.ClientCert(at.cert, at.key))
	}
	return options
}
