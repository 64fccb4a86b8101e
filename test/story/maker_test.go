package story_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
)

// maker is a factory that answers as the real one does, and leaves the calling
// back to the test: it only remembers every order, as it came.
type maker struct {
	server *httptest.Server

	mu     sync.Mutex
	orders []order
}

// order is one accepted order.
type order struct {
	body     []byte
	callback string // the CallbackUrl in it
	trace    string // the traceparent that it came with
}

func openMaker() *maker {
	m := &maker{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/manufactures", m.take)
	m.server = httptest.NewServer(mux)
	return m
}

func (m *maker) take(w http.ResponseWriter, r *http.Request) {
	const bodyBytesMax = 64 << 10
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyBytesMax))
	var fields struct {
		Requester   string `json:"MessageAttributeRequester"`
		CallbackURL string `json:"CallbackUrl"`
	}
	if err == nil {
		err = json.Unmarshal(body, &fields)
	}
	if err != nil || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "not an order", http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	m.orders = append(m.orders, order{body: body, callback: fields.CallbackURL, trace: r.Header.Get("Traceparent")})
	number := len(m.orders)
	m.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	// Who has gone is not told.
	_, _ = fmt.Fprintf(w, `{"data":{"id":"00000000-0000-4000-8000-%012d","reqestor":%q,"data":%s}}`, number, fields.Requester, body)
}

func (m *maker) taken() []order {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]order(nil), m.orders...)
}
