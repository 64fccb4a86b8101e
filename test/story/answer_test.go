package story_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock/test/contract"
)

// answer is what a request was answered with.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask sends one request as curl does: on a connection of its own, and without
// following a redirect.
func ask(ctx context.Context, method, url string, header http.Header, body io.Reader) (answer, error) {
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	defer transport.CloseIdleConnections()
	return askBy(ctx, transport, method, url, header, body)
}

// askBy is ask over connections that may be kept.
func askBy(ctx context.Context, by http.RoundTripper, method, url string, header http.Header, body io.Reader) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return answer{}, fmt.Errorf("addressing the request: %w", err)
	}
	maps.Copy(request.Header, header)
	var broken error // of the description
	if _, watched := by.(*contract.Transport); !watched {
		by = &contract.Transport{Base: by, Report: func(err error) { broken = err }}
	}
	response, err := by.RoundTrip(request)
	if err = errors.Join(err, broken); err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, url, err)
	}
	text, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return answer{}, fmt.Errorf("reading the answer of %s %s: %w", method, url, err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: text}, nil
}

// read decodes the answer into v, which must be a success.
func (a answer) read(v any) error {
	if a.status != http.StatusOK {
		return fmt.Errorf("answered %d %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		return fmt.Errorf("reading %s: %w", a.body, err)
	}
	return nil
}

// decode reads one JSON value and nothing after it. Numbers stay as written.
func decode(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("not JSON: %w: %s", err, text)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("more than one JSON value: %s", text)
	}
	return value, nil
}

// placeholders stand in an expected JSON for what no test can know.
func placeholders() map[string]*regexp.Regexp {
	return map[string]*regexp.Regexp{
		"<uuid>": regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
		"<time>": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`),
		"<text>": regexp.MustCompile(`(?s).+`),
	}
}

// diffJSON compares two JSON texts exactly: every member, every type, nothing
// more and nothing less. In want, a placeholder stands for a text of its kind.
func diffJSON(got, want []byte) (string, error) {
	gotValue, err := decode(got)
	if err != nil {
		return "", err
	}
	wantValue, err := decode(want)
	if err != nil {
		return "", err
	}
	return cmp.Diff(fillIn(gotValue, wantValue, placeholders()), wantValue), nil
}

// fillIn puts the placeholder of want where got has a text of its kind.
func fillIn(got, want any, known map[string]*regexp.Regexp) any {
	switch want := want.(type) {
	case string:
		if text, ok := got.(string); ok && known[want] != nil && known[want].MatchString(text) {
			return want
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return got
		}
		for i := range list {
			list[i] = fillIn(list[i], want[i], known)
		}
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return got
		}
		for name, value := range object {
			object[name] = fillIn(value, want[name], known)
		}
	}
	return got
}

// field finds a value by its path, such as items.0.sku, as text. What a text,
// a number or a truth value is not is given as JSON.
func field(text []byte, path string) (string, error) {
	value, err := decode(text)
	if err != nil {
		return "", err
	}
	for name := range strings.SplitSeq(path, ".") {
		if value, err = step(value, name); err != nil {
			return "", fmt.Errorf("%s: %w in %s", path, err, text)
		}
	}
	if plain, ok := value.(string); ok {
		return plain, nil
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return string(encoded), nil
}

// step goes one name deeper; len is the length of a list.
func step(value any, name string) (any, error) {
	switch value := value.(type) {
	case map[string]any:
		if inner, ok := value[name]; ok {
			return inner, nil
		}
	case []any:
		if name == "len" {
			return json.Number(strconv.Itoa(len(value))), nil
		}
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(value) {
			return value[i], nil
		}
	}
	return nil, fmt.Errorf("there is no %q", name)
}
