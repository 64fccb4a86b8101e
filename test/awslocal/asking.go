package awslocal

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// mailsTo are the mails of this story to an address.
func (s *Story) mailsTo(ctx context.Context, to string) ([]Mail, error) {
	all, err := s.Cloud.Mails(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all[min(s.mails, len(all)):], func(m Mail) bool { return !slices.Contains(m.Destination.To, to) }), nil
}

func (s *Story) mail(ctx context.Context, to string, n int) error {
	return s.until(ctx, fmt.Sprintf("mail %d to %s", n, to), func() bool {
		mails, err := s.mailsTo(ctx, to)
		return err == nil && len(mails) >= n
	})
}

// expect asks the API and says what is wrong with its answer.
func (s *Story) expect(ctx context.Context, method, path, body string, status int, words string) error {
	return s.expectOf(ctx, "", method, path, body, status, words)
}

// expectOf is expect for a request with a trace.
func (s *Story) expectOf(ctx context.Context, trace, method, path, body string, status int, words string) error {
	code, answer, err := s.askOf(ctx, trace, method, s.Cloud.API()+path, body, "")
	if err != nil {
		return err
	}
	if code != status || !strings.Contains(answer, words) {
		return fmt.Errorf("%s %s answered %d %s; want %d and %q", method, strings.SplitN(path, "?", 2)[0], code, answer, status, words)
	}
	return nil
}

// operator asks the operator's address.
func (s *Story) operator(ctx context.Context, method, path, body string, into any) error {
	code, answer, err := s.ask(ctx, method, strings.TrimRight(s.Cloud.FunctionURL(), "/")+path, body, s.Cloud.Secret("token"))
	if err != nil {
		return err
	}
	if code >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s answered %d %s", method, path, code, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal([]byte(answer), into)
}

func (s *Story) ask(ctx context.Context, method, address, body, token string) (int, string, error) {
	return s.askOf(ctx, "", method, address, body, token)
}

func (*Story) askOf(ctx context.Context, trace, method, address, body, token string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if trace != "" {
		r.Header.Set("Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}
