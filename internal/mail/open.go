package mail

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"
)

// Config holds what the URL does not say. The zero Config works.
type Config struct {
	// Folder is where the mails of the URL "file:", without a folder, go.
	Folder string
	// LocalName is what we call ourselves to a mail server (EHLO); the host's
	// name when empty. Some servers insist on a name that they can look up.
	LocalName string
	// TLS holds the authorities to trust and the like; nil means the system's.
	TLS *tls.Config
	// Dial makes the connection; nil means net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// DialTimeout and Timeout bound the making of the connection and all of
	// one mail's conversation; 0 means DialTimeout and ConversationTimeout.
	DialTimeout time.Duration
	Timeout     time.Duration
}

const (
	schemeFile  = "file"
	schemeSMTP  = "smtp"
	schemeSMTPS = "smtps"
	schemeSES   = "ses"
)

// Open gives the sender for a URL:
//
//	file:DIR                             .eml files in a folder; nobody receives them
//	smtp://user:password@host:port       STARTTLS when the server offers it
//	smtp://host:port?tls=required|none   always, or never
//	smtps://user:password@host:port      TLS from the first byte
//	ses:REGION?configuration-set=NAME    Amazon SES; both can be left out. Credentials are
//	                                     those of the AWS SDK; with endpoint=URL another
//	                                     address than that of AWS
//
// User and password can be left out together. Without a port it is 587 for smtp
// and 465 for smtps. Errors are of kind Invalid, but for a folder that cannot be
// made, and never quote the URL, since a password may be anywhere in a wrong one.
func Open(rawURL string, cfg Config) (Sender, error) { //nolint:ireturn // The URL decides the type.
	scheme, rest, _ := strings.Cut(rawURL, ":")
	var sender Sender
	var err error
	switch strings.ToLower(scheme) {
	case schemeFile:
		sender, err = openFiles(rest, cfg)
	case schemeSMTP, schemeSMTPS:
		sender, err = NewSMTP(rawURL, cfg)
	case schemeSES:
		sender, err = NewSES(rawURL, cfg)
	default:
		err = invalidURL("begins with something else")
	}
	if err != nil {
		return nil, err // and not a nil pointer that passes for a Sender
	}
	return sender, nil
}

// Local reports whether mails for this URL stay on this machine, so that nobody
// receives them. Whoever starts the program should be told.
func Local(rawURL string) bool {
	scheme, _, found := strings.Cut(rawURL, ":")
	return found && strings.EqualFold(scheme, schemeFile)
}

// openFiles takes the folder as it is written, relative or not, and the form
// file:///folder too.
func openFiles(dir string, cfg Config) (*Files, error) {
	if authority, found := strings.CutPrefix(dir, "//"); found {
		if !strings.HasPrefix(authority, "/") {
			return nil, invalidURL("names a host for its folder")
		}
		dir = authority
	}
	if dir == "" {
		dir = cfg.Folder
	}
	if dir == "" {
		return nil, invalidURL("names no folder")
	}
	return NewFiles(dir)
}

// invalidURL says what is wrong without quoting it, and what is allowed.
func invalidURL(why string) error {
	return invalid("the mail URL %s; allowed are file:DIR, smtp://user:password@host:port[?tls=required|none], "+
		"smtps://user:password@host:port, with special characters in user and password percent-encoded, "+
		"and ses:[REGION][?configuration-set=NAME]", why)
}

// Check reports a mail URL that Open would not take, without opening it.
func Check(rawURL string) error {
	if Local(rawURL) {
		return nil
	}
	_, err := Open(rawURL, Config{})
	return err
}
