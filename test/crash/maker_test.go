package crash_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/restock/restock/internal/factory"
)

// attemptKey names one attempt of one order, as its callback address does.
type attemptKey struct {
	order  string // 32 hexadecimal digits
	number int
}

func (k attemptKey) String() string { return fmt.Sprintf("%s/%d", k.order, k.number) }

// acceptance is one order that a factory took.
type acceptance struct {
	url   string
	key   attemptKey
	sku   string
	count int64
}

// call is one callback that a factory made.
type call struct {
	key     attemptKey
	status  int    // 0 when no answer came
	result  string // applied, duplicate or held
	receipt string // its id
	applied int64
}

// event is an acceptance or the beginning of a callback, as one follows another.
type event struct {
	key    attemptKey
	sku    string
	called bool
}

// makers are the factories' books: what they accepted, and what they were told
// when they called back.
type makers struct {
	up        door
	dice      *dice
	orders    *flights // accepted, and not answered yet
	callbacks *flights
	wire      http.RoundTripper

	mu       sync.Mutex
	accepted []acceptance
	calls    []call
	events   []event
	nonsense []string // CallbackUrls that cannot be read
}

func newMakers(up door, d *dice) *makers {
	return &makers{
		up: up, dice: d, orders: newFlights("order"), callbacks: newFlights("callback"),
		// A new connection for each call, so that Go repeats none by itself.
		wire: &http.Transport{DisableKeepAlives: true},
	}
}

// open starts a factory and gives its address. Its work ends with ctx.
func (m *makers) open(ctx context.Context, leadTime time.Duration) (string, func()) {
	simulator := factory.NewSimulator(factory.SimulatorConfig{
		LeadTime: leadTime, Transport: m, OnAccept: m.accept, Logger: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(ctx)
	var working sync.WaitGroup
	working.Go(func() { _ = simulator.Run(ctx) })
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		simulator.ServeHTTP(&slowAnswer{ResponseWriter: w, makers: m, ctx: r.Context()}, r)
	}))
	return web.URL + "/api/manufactures", func() {
		stop()
		web.CloseClientConnections()
		web.Close()
		working.Wait()
	}
}

// slowAnswer keeps orders in flight: the factory has accepted, and says so a
// few milliseconds later.
type slowAnswer struct {
	http.ResponseWriter

	makers *makers
	ctx    context.Context // of the one request that it answers
}

func (s *slowAnswer) WriteHeader(status int) {
	const slowest = 8 * time.Millisecond
	began := s.makers.orders.begin()
	pause(s.ctx, s.makers.dice.upTo(slowest))
	s.makers.orders.end(began)
	s.ResponseWriter.WriteHeader(status)
}

func (m *makers) accept(job factory.Job) {
	key, err := readToken(job.Report.CallbackURL)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.nonsense = append(m.nonsense, fmt.Sprintf("%s: %v", job.Report.CallbackURL, err))
	}
	m.accepted = append(m.accepted, acceptance{
		url: job.Report.CallbackURL, key: key, sku: job.Report.ProductID, count: job.Report.Count,
	})
	m.events = append(m.events, event{key: key, sku: job.Report.ProductID})
}

// RoundTrip makes a callback. The real factory calls once, into the void too;
// this one waits while the server is down, or each kill would lose so many
// calls that soon everything were held. What a kill cut off is lost, half of
// the time; else it is called again, as some factories do.
func (m *makers) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	for {
		address, err := m.up.wait(r.Context())
		if err != nil {
			return nil, err
		}
		response, err := m.call(r, address, body)
		refused := errors.Is(err, syscall.ECONNREFUSED) // it never began
		if err == nil || !refused && m.dice.oneIn(2) {
			return response, err
		}
	}
}

// call makes one call and takes down what came of it.
func (m *makers) call(r *http.Request, address string, body []byte) (*http.Response, error) {
	key, err := readToken(r.URL.String())
	if err != nil {
		return nil, err
	}
	request := r.Clone(r.Context())
	request.URL.Host = address // it is behind the public one
	request.Body = io.NopCloser(bytes.NewReader(body))
	m.note(event{key: key, called: true})
	began := m.callbacks.begin()
	response, answer, err := m.exchange(request)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, err
	}
	c := call{key: key}
	if err != nil {
		m.callbacks.end(began)
	} else {
		c = readAnswer(c, response.StatusCode, answer)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, c)
	return response, err
}

func (m *makers) note(e event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.events = append(m.events, e)
}

// exchange gives the answer only when all of it came.
func (m *makers) exchange(r *http.Request) (*http.Response, []byte, error) {
	response, err := m.wire.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	answer, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))
	return response, answer, nil
}

func readAnswer(c call, status int, body []byte) call {
	var answer struct {
		Result  string `json:"result"`
		Receipt string `json:"receipt_id"`
		Applied int64  `json:"applied"`
	}
	_ = json.Unmarshal(body, &answer) // what cannot be read has no result, and is judged so
	c.status, c.result, c.receipt, c.applied = status, answer.Result, plainID(answer.Receipt), answer.Applied
	return c
}

// readToken reads which attempt a callback address belongs to: version 1 byte,
// key id 1, order id 16, attempt 2, MAC 16, in base32.
func readToken(callbackURL string) (attemptKey, error) {
	const tokenBytes = 1 + 1 + 16 + 2 + 16
	u, err := url.Parse(callbackURL)
	if err != nil {
		return attemptKey{}, err
	}
	text := strings.ToUpper(u.Query().Get("token"))
	token, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil || len(token) != tokenBytes {
		return attemptKey{}, fmt.Errorf("the token has %d bytes: %w", len(token), errors.Join(err, errors.ErrUnsupported))
	}
	return attemptKey{hex.EncodeToString(token[2:18]), int(binary.BigEndian.Uint16(token[18:20]))}, nil
}

// plainID is a UUID as SQL's hex gives it, in lower case.
func plainID(uuid string) string { return strings.ToLower(strings.ReplaceAll(uuid, "-", "")) }
