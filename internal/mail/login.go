package mail

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail/smtp"
)

// login is how we authenticate. A nil login does not.
type login struct {
	user string
	// password is a function because no verb of fmt looks inside one.
	password func() string
}

func credentials(info *url.Userinfo) (*login, error) {
	if info == nil {
		return nil, nil //nolint:nilnil // A nil login is one that does nothing.
	}
	password, _ := info.Password()
	if info.Username() == "" || password == "" || hasControl(info.Username()+password) {
		return nil, invalidURL("has a user without password, or the reverse")
	}
	return &login{user: info.Username(), password: func() string { return password }}, nil
}

var errNoMechanism = errors.New("the server offers neither AUTH PLAIN nor AUTH LOGIN")

// authenticate sends the password only over TLS or within this machine: both
// mechanisms refuse otherwise.
func (l *login) authenticate(client *smtp.Client, host string) error {
	if l == nil {
		return nil
	}
	auth, err := l.mechanism(client, host)
	if err != nil {
		return err
	}
	if err := client.Auth(auth); err != nil {
		return fmt.Errorf("logging in: %w", err)
	}
	return nil
}

//nolint:ireturn // The types behind it are unexported.
func (l *login) mechanism(client *smtp.Client, host string) (smtp.Auth, error) {
	_, offered := client.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	const evenUnencrypted = false
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		return smtp.PlainAuth("", l.user, l.password(), host, evenUnencrypted), nil
	case slices.Contains(mechanisms, "LOGIN"):
		return smtp.LoginAuth(l.user, l.password(), host, evenUnencrypted), nil
	default:
		return nil, errNoMechanism
	}
}

// hide takes out every form in which the password may come back: as it is, as it
// went over the wire, and quoted in an error.
func (l *login) hide(words string) string {
	if l == nil {
		return words
	}
	const stars = "***"
	password := l.password()
	base64Of := base64.StdEncoding.EncodeToString
	return strings.NewReplacer(
		base64Of([]byte("\x00"+l.user+"\x00"+password)), stars,
		base64Of([]byte(password)), stars,
		password, stars,
		unquoted(strconv.Quote(password)), stars,
	).Replace(words)
}

func unquoted(s string) string { return s[1 : len(s)-1] }
