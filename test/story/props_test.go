package story_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sync/errgroup"
)

// order waits for the Nth order. That there is no other is checked when it is
// asked for; that there will be none is for quiet to see.
func (s *stage) order(ts *testscript.TestScript, args []string) error {
	n, err := number(args, 0)
	if err != nil || s.maker == nil {
		return errors.Join(err, errors.New("order N needs a maker"))
	}
	var orders []order
	err = until(context.Background(), waitTimeout, func(context.Context) error {
		if orders = s.maker.taken(); len(orders) < n {
			return fmt.Errorf("the maker has %d orders, want %d", len(orders), n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(orders) > n {
		return fmt.Errorf("the maker has %d orders, want %d; the last is %s", len(orders), n, orders[len(orders)-1].body)
	}
	s.callbacks = append(s.callbacks, orders[n-1].callback)
	ts.Setenv("CALLBACK", orders[n-1].callback)
	_, _ = fmt.Fprintf(ts.Stderr(), "Traceparent: %s\n", orders[n-1].trace) // a strings.Builder.
	_, err = ts.Stdout().Write(orders[n-1].body)
	return err //nolint:wrapcheck // a strings.Builder.
}

// logged waits for a line in the log of a role that has a trace and matches. When
// all roles are in one process it is the log of that.
func (s *stage) logged(ts *testscript.TestScript, args []string) error {
	if err := want(args, 3, 3); err != nil {
		return err
	}
	line, err := regexp.Compile(`(?m)^.*` + args[2] + `.*$`)
	if err != nil {
		return fmt.Errorf("%q: %w", args[2], err)
	}
	pattern := serverName + "-[0-9]*.log"
	if s.setting.apart {
		pattern = serverName + "-" + args[0] + "-*.log"
	}
	return until(context.Background(), waitTimeout, func(context.Context) error {
		logs, err := filepath.Glob(ts.MkAbs(pattern))
		for _, log := range logs {
			for _, found := range line.FindAllString(readText(log), -1) {
				if strings.Contains(found, " trace_id="+args[1]) {
					return nil
				}
			}
		}
		return errors.Join(err, fmt.Errorf("no line with trace_id=%s matches %q in %q", args[1], args[2], logs))
	})
}

func number(args []string, at int) (int, error) {
	if len(args) <= at {
		return 0, errors.New("a number is missing")
	}
	n, err := strconv.Atoi(args[at])
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", args[at])
	}
	return n, nil
}

func (s *stage) openPost(ts *testscript.TestScript, _ []string) error {
	var err error
	if s.post, err = openPost(); err != nil {
		return err
	}
	ts.Setenv("POST", s.post.url())
	return nil
}

func (s *stage) mailbox(_ *testscript.TestScript, args []string) error {
	if err := want(args, 2, 2); err != nil {
		return err
	}
	s.post.know(args[0], args[1] == "known")
	return nil
}

func (s *stage) letter(ts *testscript.TestScript, args []string) error {
	n, err := number(args, 1)
	if err != nil {
		return err
	}
	var letters []letter
	err = until(context.Background(), waitTimeout, func(context.Context) error {
		if letters = s.post.lettersTo(args[0]); len(letters) < n {
			return fmt.Errorf("%s has %d letters, want %d", args[0], len(letters), n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return showMail(ts, letters[n-1].content)
}

func showMail(ts *testscript.TestScript, content []byte) error {
	text, err := legible(content)
	if err != nil {
		return err
	}
	_, err = io.WriteString(ts.Stdout(), text)
	return err //nolint:wrapcheck // a strings.Builder.
}

func (s *stage) eml(ts *testscript.TestScript, args []string) error {
	n, err := number(args, 1)
	if err != nil {
		return err
	}
	var said string
	if len(args) > 2 {
		said = args[2]
	}
	var mails [][]byte
	err = until(context.Background(), waitTimeout, func(context.Context) error {
		mails, err = mailsThatSay(ts, args[0], said)
		if err == nil && len(mails) < n {
			err = fmt.Errorf("there are %d mails of kind %s that say %q, want %d", len(mails), args[0], said, n)
		}
		return err
	})
	if err != nil {
		return err
	}
	return showMail(ts, mails[n-1])
}

// mailsThatSay are the mails of a kind in the order of their times.
func mailsThatSay(ts *testscript.TestScript, kind, said string) ([][]byte, error) {
	names, err := filepath.Glob(filepath.Join(ts.Getenv("RESTOCK_DATA"), "mail", "*-"+kind+"-*.eml"))
	if err != nil {
		return nil, err //nolint:wrapcheck // the pattern is at fault.
	}
	sort.Strings(names) // they begin with the time
	var mails [][]byte
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err //nolint:wrapcheck // the path is in it.
		}
		text, err := legible(content)
		if err != nil {
			return nil, err
		}
		if strings.Contains(text, said) {
			mails = append(mails, content)
		}
	}
	return mails, nil
}

func (s *stage) http(ts *testscript.TestScript, args []string) error {
	header, times := http.Header{}, 1
	for len(args) > 1 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-H":
			name, value, _ := strings.Cut(args[1], ":")
			header.Add(name, strings.TrimSpace(value))
		case "-n":
			var err error
			if times, err = number(args, 1); err != nil {
				return err
			}
		}
		args = args[2:]
	}
	if err := want(args, 2, 3); err != nil {
		return err
	}
	var body string
	if len(args) == 3 {
		body = inFile(ts, args[2])
	}
	answers, err := askAtOnce(times, args[0], args[1], header, body)
	if err != nil {
		return err
	}
	s.last = answers[0]
	_, err = ts.Stdout().Write(s.last.body)
	return err //nolint:wrapcheck // a strings.Builder.
}

// askAtOnce sends the same request from many clients. All must get the same
// status.
func askAtOnce(times int, method, url string, header http.Header, body string) ([]answer, error) {
	answers := make([]answer, times)
	var clients errgroup.Group
	for i := range answers {
		clients.Go(func() error {
			var err error
			answers[i], err = ask(context.Background(), method, url, header, bodyOf(body))
			return err
		})
	}
	if err := clients.Wait(); err != nil {
		return nil, err //nolint:wrapcheck // ask says all.
	}
	for _, a := range answers {
		if a.status != answers[0].status {
			return nil, fmt.Errorf("one was answered %d %s, another %d %s", answers[0].status, answers[0].body, a.status, a.body)
		}
	}
	return answers, nil
}

// bodyOf is no body at all for an empty text, as curl has it without -d.
func bodyOf(text string) io.Reader {
	if text == "" {
		return nil
	}
	return strings.NewReader(text)
}

// inFile is the argument itself, or the file that @ names.
func inFile(ts *testscript.TestScript, arg string) string {
	if name, ok := strings.CutPrefix(arg, "@"); ok {
		return ts.ReadFile(name)
	}
	return arg
}

// begun is a request that is only half sent.
type begun struct {
	conn net.Conn
	rest string
}

func (s *stage) begin(_ *testscript.TestScript, args []string) error {
	if err := want(args, 3, 3); err != nil {
		return err
	}
	target, err := url.Parse(args[1])
	if err != nil {
		return fmt.Errorf("%q is not an address: %w", args[1], err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", target.Host)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	half := len(args[2]) / 2
	s.begun = &begun{conn: conn, rest: args[2][half:]}
	// The 100 Continue proves that a handler is at work on the request.
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n",
		args[0], target.RequestURI(), target.Host, len(args[2]))
	if err == nil {
		err = awaitContinue(conn)
	}
	if err == nil {
		_, err = io.WriteString(conn, args[2][:half])
	}
	return err
}

func awaitContinue(conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(requestTimeout)); err != nil {
		return fmt.Errorf("setting a deadline: %w", err)
	}
	const line = "HTTP/1.1 100 Continue\r\n\r\n"
	got := make([]byte, len(line))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != line {
		return fmt.Errorf("want 100 Continue, not %q: %w", got, err)
	}
	return nil
}

func (s *stage) finish(ts *testscript.TestScript, _ []string) error {
	if s.begun == nil {
		return errors.New("nothing was begun")
	}
	if _, err := io.WriteString(s.begun.conn, s.begun.rest); err != nil {
		return fmt.Errorf("sending the rest: %w", err)
	}
	response, err := http.ReadResponse(bufio.NewReader(s.begun.conn), nil)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	s.last = answer{status: response.StatusCode, header: response.Header, body: body}
	_, err = ts.Stdout().Write(body)
	return err //nolint:wrapcheck // a strings.Builder.
}

func (s *stage) refuses(_ *testscript.TestScript, args []string) error {
	if err := want(args, 1, 1); err != nil {
		return err
	}
	target, err := url.Parse(args[0])
	if err != nil {
		return fmt.Errorf("%q is not an address: %w", args[0], err)
	}
	return until(context.Background(), waitTimeout, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", target.Host)
		if err != nil {
			return nil //nolint:nilerr // it is what we wait for.
		}
		return errors.Join(errors.New("it accepts connections"), conn.Close())
	})
}

func (s *stage) status(_ *testscript.TestScript, args []string) error {
	n, err := number(args, 0)
	if err == nil && s.last.status != n {
		err = fmt.Errorf("answered %d, want %d: %s", s.last.status, n, s.last.body)
	}
	return err
}

func (s *stage) json(ts *testscript.TestScript, args []string) error {
	if err := want(args, 1, 1); err != nil {
		return err
	}
	if media := s.last.header.Get("Content-Type"); media != "application/json" && media != "application/problem+json" {
		return fmt.Errorf("Content-Type is %q", media)
	}
	diff, err := diffJSON(s.last.body, []byte(inFile(ts, args[0])))
	if err == nil && diff != "" {
		err = fmt.Errorf("answered %s (-got +want)\n%s", s.last.body, diff)
	}
	return err
}

func (s *stage) header(_ *testscript.TestScript, args []string) error {
	if err := want(args, 1, 2); err != nil {
		return err
	}
	got := strings.Join(s.last.header.Values(args[0]), ", ")
	if wanted := strings.Join(args[1:], ""); got != wanted {
		return fmt.Errorf("%s is %q, want %q", args[0], got, wanted)
	}
	return nil
}

func (s *stage) field(ts *testscript.TestScript, args []string) error {
	if err := want(args, 2, 2); err != nil {
		return err
	}
	got, err := field([]byte(ts.ReadFile("stdout")), args[0])
	if err == nil && got != args[1] {
		err = fmt.Errorf("%s is %q, want %q", args[0], got, args[1])
	}
	return err
}

func (s *stage) capture(ts *testscript.TestScript, args []string) error {
	if err := want(args, 2, 2); err != nil {
		return err
	}
	value, err := field([]byte(ts.ReadFile("stdout")), args[1])
	ts.Setenv(args[0], value)
	return err
}

func (s *stage) until(ts *testscript.TestScript, args []string) error {
	if err := want(args, 3, 3); err != nil {
		return err
	}
	return until(context.Background(), waitTimeout, func(ctx context.Context) error {
		text, err := s.operate(ctx, ts, args[0])
		if err != nil {
			return err
		}
		got, err := field(text, args[1])
		if err == nil && got != args[2] {
			err = fmt.Errorf("%s is %q, want %q", args[1], got, args[2])
		}
		return err
	})
}

// operate reads from the operator's API.
func (s *stage) operate(ctx context.Context, ts *testscript.TestScript, path string) ([]byte, error) {
	header := http.Header{"Authorization": {"Bearer " + ts.Getenv("TOKEN")}}
	a, err := ask(ctx, http.MethodGet, ts.Getenv("ADMIN")+path, header, nil)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("%s answered %d %s", path, a.status, a.body)
	}
	return a.body, err
}

func (s *stage) quiet(ts *testscript.TestScript, _ []string) error {
	return until(context.Background(), waitTimeout, func(ctx context.Context) error {
		text, err := s.operate(ctx, ts, "/v1/status")
		if err != nil {
			return err
		}
		if err := noneUnderWay(text); err != nil {
			return err
		}
		report, err := s.operate(ctx, ts, "/v1/queue")
		if err != nil {
			return err
		}
		return engineEmpty(report)
	})
}

// engineEmpty looks at the broker, when there is one beside the database.
func engineEmpty(report []byte) error {
	var queue struct {
		Engine struct {
			Error  string `json:"error"`
			Queues []struct {
				Queue    string `json:"queue"`
				Waiting  int64  `json:"waiting"`
				InFlight int64  `json:"in_flight"`
				Dead     int64  `json:"dead"`
			} `json:"queues"`
		} `json:"engine"`
	}
	if err := json.Unmarshal(report, &queue); err != nil {
		return fmt.Errorf("reading %s: %w", report, err)
	}
	if queue.Engine.Error != "" {
		return errors.New(queue.Engine.Error)
	}
	for _, q := range queue.Engine.Queues {
		if q.Waiting+q.InFlight+q.Dead > 0 {
			return fmt.Errorf("the broker still holds messages: %+v", q)
		}
	}
	return nil
}

// secrets looks for tokens where they must not be: logs and mails are read by
// more people than may act for a factory or an operator.
func (s *stage) secrets(ts *testscript.TestScript, _ []string) error {
	tokens := [][]byte{[]byte(ts.Getenv("TOKEN"))}
	for _, callback := range s.callbacks {
		_, token, _ := strings.Cut(callback, "token=")
		tokens = append(tokens, []byte(token))
	}
	var errs []error
	for _, pattern := range []string{ts.MkAbs("*.log"), filepath.Join(ts.Getenv("RESTOCK_DATA"), "mail", "*.eml")} {
		names, err := filepath.Glob(pattern)
		errs = append(errs, err)
		for _, name := range names {
			errs = append(errs, lacks(name, tokens))
		}
	}
	return errors.Join(errs...)
}

func lacks(name string, tokens [][]byte) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err //nolint:wrapcheck // the path is in it.
	}
	for _, token := range tokens {
		if len(token) == 0 || bytes.Contains(text, token) {
			return fmt.Errorf("%s has the token %q", name, token)
		}
	}
	return nil
}

func (s *stage) blob(ts *testscript.TestScript, args []string) error {
	size, err := number(args, 1)
	if err != nil {
		return err
	}
	const quotes = 2
	text := `"` + strings.Repeat("a", size-quotes) + `"`
	return os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600) //nolint:wrapcheck // the path is in it.
}

func (s *stage) expand(ts *testscript.TestScript, args []string) error {
	if err := want(args, 2, 2); err != nil {
		return err
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	return os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600) //nolint:wrapcheck // the path is in it.
}
