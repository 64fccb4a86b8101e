package web_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock/internal/web"
)

// follow opens a stream and gives its lines.
func follow(t *testing.T, url string) *bufio.Reader {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := newClient(t).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("Content-Type %q", got)
	}
	return bufio.NewReader(response.Body)
}

func TestAnEventArrivesWholeAndAtOnce(t *testing.T) {
	t.Parallel()
	next := make(chan []byte)
	s := start(t, web.Config{Handler: web.Log(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stream, err := web.OpenEventStream(w)
		if err != nil {
			t.Error(err)
			return
		}
		for data := range next {
			if err := stream.Send("page\ndata: forged", "7\r\n", data); err != nil {
				t.Error(err)
			}
		}
	}), web.LogConfig{})})
	lines := follow(t, s.URL())
	read := func(n int) []string {
		t.Helper()
		var got []string
		for range n {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.TrimSuffix(line, "\n"))
		}
		return got
	}
	if diff := cmp.Diff([]string{": beat", ""}, read(2)); diff != "" {
		t.Errorf("at first (-want +got):\n%s", diff)
	}
	next <- []byte("<p>\r\n\nevent: forged\n</p>")
	want := []string{"event: pagedata: forged", "id: 7", "data: <p>", "data: ", "data: event: forged", "data: </p>", ""}
	if diff := cmp.Diff(want, read(len(want))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	close(next)
}

func TestAStreamOutlivesTheLimitsOfAnAnswerAndEndsWhenTheServerStops(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	s := start(t, web.Config{
		ReadTimeout: short, WriteTimeout: short,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(ended)
			stream, err := web.OpenEventStream(w)
			if err != nil {
				t.Error(err)
				return
			}
			select {
			case <-web.Stopping(r.Context()):
				if err := stream.Send("page", "1", []byte("the last")); err != nil {
					t.Error(err)
				}
			case <-r.Context().Done():
				t.Error("the request's context ended before the server was stopped")
			}
		}),
	})
	lines := follow(t, s.URL())
	if _, err := lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	// A second server with the same limits is a clock: its limits pass only when
	// those of the stream have passed.
	slow := start(t, web.Config{ReadTimeout: 4 * short, ReadHeaderTimeout: 4 * short, Handler: http.HandlerFunc(ok)})
	conn := dial(t, slow.Addr())
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Fatal(err)
	}
	s.stop()
	<-ended
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.Contains(string(rest), "data: the last\n") {
		t.Errorf("after the limits %q, %v", rest, err)
	}
}
