package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// The limits of a Server whose Config leaves them at zero.
const (
	DefaultReadHeaderTimeout = 5 * time.Second
	DefaultReadTimeout       = 15 * time.Second
	DefaultWriteTimeout      = 30 * time.Second
	DefaultIdleTimeout       = 2 * time.Minute
	DefaultShutdownTimeout   = 10 * time.Second
	DefaultCutTimeout        = time.Second
	DefaultHeaderBytesMax    = 64 << 10
	DefaultConnectionsMax    = 10_000
)

// crowdedLogInterval keeps a flood of connections from becoming a flood of lines.
const crowdedLogInterval = time.Minute

// Config says what a Server serves. A limit of zero means its default.
type Config struct {
	Name    string       // in logs and errors
	Handler http.Handler // nil answers 404 to everything
	Logger  *slog.Logger // nil discards

	ReadHeaderTimeout time.Duration // the request's header must be here by then
	ReadTimeout       time.Duration // and its body by then, both from the first byte
	WriteTimeout      time.Duration // the answer must be out by then
	IdleTimeout       time.Duration // a kept connection waits so long for its next request
	ShutdownTimeout   time.Duration // running requests get this long when the server stops
	CutTimeout        time.Duration // and then this long to notice that their context ended and to answer 503
	HeaderBytesMax    int           // more is answered 431

	// ConnectionsMax bounds the open connections. When they are all in use, idle
	// ones are closed and none is kept until a tenth is free again; whoever
	// comes meanwhile waits in the kernel's queue.
	ConnectionsMax int
}

func (c Config) withDefaults() Config {
	if c.Handler == nil {
		// net/http would serve its global mux, onto which any import may hang routes.
		c.Handler = http.NotFoundHandler()
	}
	c.Logger = orDiscard(c.Logger)
	c.Name = cmp.Or(c.Name, "http")
	c.ReadHeaderTimeout = cmp.Or(c.ReadHeaderTimeout, DefaultReadHeaderTimeout)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, DefaultReadTimeout)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, DefaultWriteTimeout)
	c.IdleTimeout = cmp.Or(c.IdleTimeout, DefaultIdleTimeout)
	c.ShutdownTimeout = cmp.Or(c.ShutdownTimeout, DefaultShutdownTimeout)
	c.CutTimeout = cmp.Or(c.CutTimeout, DefaultCutTimeout)
	c.HeaderBytesMax = cmp.Or(c.HeaderBytesMax, DefaultHeaderBytesMax)
	c.ConnectionsMax = cmp.Or(c.ConnectionsMax, DefaultConnectionsMax)
	return c
}

func orDiscard(logger *slog.Logger) *slog.Logger {
	if logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return logger
}

// Server is an HTTP server with limits that stops gracefully. Call Listen, then
// Run, once each.
type Server struct {
	cfg     Config
	http    *http.Server
	gate    *gate
	crowded rate.Sometimes
}

// NewServer makes a Server that does not listen yet.
func NewServer(cfg Config) *Server {
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, crowded: rate.Sometimes{Interval: crowdedLogInterval}}
	s.http = &http.Server{
		Handler:           cfg.Handler,
		ReadHeaderTimeout: cfg.ReadHeaderTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    cfg.HeaderBytesMax,
		ConnState:         s.connectionChanged,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.With(KeyServer, cfg.Name).Handler(), slog.LevelWarn),
	}
	return s
}

// Listen takes the address (host:port; port 0 takes a free one), so that Addr
// and URL are known, and an address in use is found, before anything runs.
func (s *Server) Listen(ctx context.Context, addr string) error {
	if s.gate != nil {
		return fmt.Errorf("server %s listens on %s already", s.cfg.Name, s.Addr())
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("opening %s for server %s: %w", addr, s.cfg.Name, err)
	}
	s.gate = newGate(listener, s.cfg.ConnectionsMax, s.setCrowded)
	return nil
}

// Addr is the real host:port after Listen, and "" before.
func (s *Server) Addr() string {
	if s.gate == nil {
		return ""
	}
	return s.gate.Addr().String()
}

// URL is where a program on this machine reaches the server, without a slash
// at the end; "" before Listen.
func (s *Server) URL() string {
	host, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost" // 0.0.0.0 is an address to listen on, not one to call
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Run serves until ctx ends, then stops accepting, lets running requests finish
// within ShutdownTimeout and returns nil. It returns an error when it could not
// serve, or when requests had to be cut off.
func (s *Server) Run(ctx context.Context) error {
	if s.gate == nil {
		return fmt.Errorf("server %s does not listen; call Listen before Run", s.cfg.Name)
	}
	// Requests must outlive ctx, which ends when the stop begins.
	requests, cut := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), stoppingKey{}, ctx.Done()))
	defer cut()
	s.http.BaseContext = func(net.Listener) context.Context { return requests }

	s.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "serving",
		slog.String(KeyServer, s.cfg.Name), slog.String(KeyAddress, s.Addr()))
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.gate) }()

	select {
	case err := <-served:
		return errors.Join(fmt.Errorf("serving %s on %s: %w", s.cfg.Name, s.Addr(), err), s.http.Close())
	case <-ctx.Done():
		err := s.stop(context.WithoutCancel(ctx), cut)
		if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
			err = errors.Join(err, fmt.Errorf("serving %s on %s: %w", s.cfg.Name, s.Addr(), serveErr))
		}
		return err
	}
}

// Close drops the listener and every connection at once. It is for a Server
// that listens and will not Run after all; Run closes by itself.
func (s *Server) Close() error {
	err := s.http.Close()
	if s.gate != nil {
		err = errors.Join(err, s.gate.Close())
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing server %s: %w", s.cfg.Name, err)
	}
	return nil
}

func (s *Server) stop(ctx context.Context, cut context.CancelFunc) error {
	err := s.drain(ctx, s.cfg.ShutdownTimeout)
	if err == nil {
		return nil
	}
	cut()
	if s.drain(ctx, s.cfg.CutTimeout) != nil {
		err = errors.Join(err, s.http.Close())
	}
	return fmt.Errorf("stopping server %s: requests were cut off after %s: %w", s.cfg.Name, s.cfg.ShutdownTimeout, err)
}

func (s *Server) drain(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return s.http.Shutdown(ctx) //nolint:wrapcheck // stop says what it means.
}

// connectionChanged gives a connection's place back. It is done here instead of
// in a wrapped net.Conn because net/http must see the real TCP connection to
// close it in a way that lets a refused client still read its 413.
func (s *Server) connectionChanged(_ net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		s.gate.leave()
	}
}

// setCrowded stops keeping connections while there are too many: disabling
// keep-alive also closes the idle ones, which are the cheapest to lose.
func (s *Server) setCrowded(crowded bool) {
	s.http.SetKeepAlivesEnabled(!crowded)
	if crowded {
		s.crowded.Do(func() {
			s.cfg.Logger.Warn("all connections in use; idle ones are closed and new ones wait",
				KeyServer, s.cfg.Name, KeyLimit, s.cfg.ConnectionsMax)
		})
	}
}
