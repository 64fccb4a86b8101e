package contract_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/restock/restock/test/contract"
)

func open(t *testing.T) *contract.Contract {
	t.Helper()
	c, err := contract.Open()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheDescriptionIsOpenAPI(t *testing.T) {
	t.Parallel()
	if err := open(t).Validate(); err != nil {
		t.Error(err)
	}
}

func TestSpeed(t *testing.T) {
	c := open(t)
	x := &contract.Exchange{Method: "POST", Target: "/v1/adjustments", Header: http.Header{"Authorization": {"Bearer x"}}, Body: []byte(`{"sku":"A","quantity":1,"reason":"x"}`),
		Status: 201, Answer: http.Header{"Content-Type": {"application/json"}, "Traceparent": {"x"}, "X-Content-Type-Options": {"nosniff"}},
		AnswerBody: []byte(`{"adjustment_id":"019aa7ce-5b1e-7c7b-b6d2-0d8a3f0a9b11","sku":"A","quantity":1,"on_hand":1,"reason":"x","at":"2026-11-25T09:00:00Z"}`)}
	if err := c.Check(x); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for range 2000 {
		c.Check(x)
	}
	t.Log(time.Since(begin) / 2000)
	x.AnswerBody = []byte(`{"adjustment_id":"019aa7ce-5b1e-7c7b-b6d2-0d8a3f0a9b11","sku":"A","quantity":1,"reason":"x","at":"2026-11-25T09:00:00Z","more":1}`)
	x.Body = []byte(`{"sku":"A","quantity":1,"Reason":"x"}`)
	t.Log(c.Check(x))
	x.Body = []byte(`{"sku":"A","quantity":1,"reason":"x"}`)
	t.Log(c.Check(x))
}
