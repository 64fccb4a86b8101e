package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/restock/restock"
)

// remote is how a command finds the running server.
type remote struct {
	Server    string `env:"RESTOCK_SERVER" placeholder:"URL" help:"The server's operator address; the one that runs on the data folder when left out."`
	Data      string `env:"RESTOCK_DATA" default:"restock-data" type:"path" help:"The data folder, with the server's address and the operator's token."`
	TokenFile string `env:"RESTOCK_TOKEN_FILE" type:"path" placeholder:"FILE" help:"The operator's token; the one in the data folder when left out."`
	JSON      bool   `name:"json" help:"Print JSON, for scripts."`
}

const (
	defaultServer = "http://127.0.0.1:8080"
	// clientTimeout bounds one command; a large catalogue takes its time.
	clientTimeout = 30 * time.Minute
)

func (r *remote) server() string {
	if r.Server != "" {
		return strings.TrimRight(r.Server, "/")
	}
	if text, err := os.ReadFile(filepath.Join(r.Data, serverFile)); err == nil {
		return strings.TrimSpace(string(text))
	}
	return defaultServer
}

func (r *remote) token() (string, error) {
	if _, err := os.Stat(r.Data); err != nil && r.TokenFile == "" {
		return "", fmt.Errorf("there is no data folder %s; start the service with restock serve, or name its folder with --data", r.Data)
	}
	path := orDefault(r.TokenFile, filepath.Join(r.Data, tokenFile))
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the operator's token: %w; name its file with --token-file, or the server's data folder with --data", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", fmt.Errorf("%s must hold one token and nothing else", path)
	}
	return token, nil
}

// get reads an answer of the API into v.
func (r *remote) get(c *console, path string, query url.Values, v any) error {
	return r.call(c, http.MethodGet, path, query, nil, v)
}

// call sends one request with the operator's token. What is not a 2xx becomes
// an error in the server's own words.
func (r *remote) call(c *console, method, path string, query url.Values, body []byte, v any) error {
	answer, err := r.fetch(c, method, path, query, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, v); err != nil {
		return fmt.Errorf("the answer of %s is not understood: %w", r.server(), err)
	}
	return nil
}

func (r *remote) fetch(c *console, method, path string, query url.Values, body []byte) ([]byte, error) {
	token, err := r.token()
	if err != nil {
		return nil, err
	}
	target := r.server() + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(c.ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{Timeout: clientTimeout}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("no server answers at %s; start it with restock serve, or name another with --server: %w", r.server(), err)
	}
	defer response.Body.Close() // it was read.
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("the answer of %s broke off: %w", r.server(), err)
	}
	if response.StatusCode/100 != 2 {
		return nil, problemOf(response.StatusCode, answer)
	}
	return answer, nil
}

// problem is what the server answered instead of a 2xx, in its own words.
type problem struct {
	Detail string       `json:"detail"`
	Code   restock.Code `json:"code"`
}

func (p *problem) Error() string { return p.Detail }

func problemOf(status int, answer []byte) error {
	var p problem
	if err := json.Unmarshal(answer, &p); err != nil || p.Detail == "" {
		return fmt.Errorf("the server answered %d %s", status, http.StatusText(status))
	}
	return &p
}

// printJSON prints v for scripts.
func printJSON(c *console, v any) error {
	encoder := json.NewEncoder(c.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
