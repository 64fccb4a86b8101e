package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/restock/restock/internal/web"
)

// readyTimeout is a little more than the checks themselves may take.
const readyTimeout = web.CheckTimeout + time.Second

type readyCommand struct {
	Listen string `env:"RESTOCK_LISTEN" default:"127.0.0.1:8080" help:"Where the server listens."`
}

// Help is shown by restock ready --help.
func (readyCommand) Help() string {
	return `It exits with status 1 when the server of this machine is not ready. It needs no token
and no other program, for health checks of containers.

Example:
  restock ready`
}

func (r *readyCommand) Run(c *console) error {
	host, port, err := net.SplitHostPort(r.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(c.ctx, readyTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+web.ReadyPath, http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	defer response.Body.Close()
	const answerMax = 1 << 16
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerMax))
	if err != nil {
		return err
	}
	c.printf("%s", answer)
	if response.StatusCode != http.StatusOK {
		return errSaid
	}
	return nil
}
