package storetest

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/restock/restock"
)

func unsignedChecks() []check {
	return []check{
		{"WhereNoFactoryHasASecretNothingIsKept", nothingKept},
		{"GoodsOfNoOrderAreBookedOnTheirProduct", bookedOnProduct},
		{"GoodsOfTheOneOpenOrderAreBookedOnIt", bookedOnOrder},
		{"AnEqualReportIsARowOfItsOwn", equalUnsigned},
		{"TheJudgeSeesWhoVouchesAndWhatIsAwaited", unsignedEvidence},
		{"WhatNobodyVouchesForIsHeldUntilThereIsNoRoom", unvouchedFull},
		{"APersonApprovesWhatNobodyVouchedFor", approveUnvouched},
		{"SecretsTakeTurns", secretsTakeTurns},
		{"ManyEqualReportsAtOnceAreOneEffect", unsignedAtOnce},
	}
}

// secret gives the factory a secret and the proof of it.
func (s *shop) secret() restock.SecretProof {
	s.t.Helper()
	proof, ok := restock.ProofOf(restock.NewFactorySecret())
	if !ok {
		s.t.Fatal("a new secret is none")
	}
	_, err := s.AddFactorySecret(s.ctx(), factoryID, proof, by("they order there"), restock.Key{})
	s.must(err)
	return proof
}

// unsigned is a report of a product without a token, vouched for or not.
func unsigned(product string, count int64, body string, proofs ...restock.SecretProof) restock.Unsigned {
	u := restock.Unsigned{Callback: callback(restock.Attempt{}, count, body), Proofs: proofs}
	u.Product = product
	return u
}

// believing is a simple judge of such reports.
func believing(e restock.UnsignedEvidence) restock.UnsignedVerdict {
	count := e.Unsigned.Count
	switch {
	case e.Factory.ID.IsZero() || e.Product.ID.IsZero() || e.Seen || len(e.Awaited) > 1:
		return restock.UnsignedVerdict{Verdict: restock.Verdict{State: restock.ReceiptHeld, Hold: count, Reason: "held"}}
	case len(e.Awaited) == 1:
		of := e.Awaited[0]
		of.Callback = e.Unsigned.Callback
		return restock.UnsignedVerdict{Verdict: upToMissing(of), OrderID: of.Attempt.OrderID, Attempt: of.Attempt.Number}
	}
	return restock.UnsignedVerdict{Verdict: restock.Verdict{State: restock.ReceiptApplied, Apply: count}}
}

func (s *shop) receiveUnsigned(u restock.Unsigned) restock.Receipt {
	s.t.Helper()
	r, err := s.ReceiveUnsigned(s.ctx(), u, believing)
	s.must(err)
	return r
}

func nothingKept(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	proof, _ := restock.ProofOf(restock.NewFactorySecret())
	for _, proofs := range [][]restock.SecretProof{nil, {proof}} {
		v, err := s.Vouch(s.ctx(), proofs)
		if err != nil || v != (restock.Voucher{}) {
			t.Errorf("vouched %+v, %v", v, err)
		}
		_, err = s.ReceiveUnsigned(s.ctx(), unsigned("A", 10, "ten", proofs...), believing)
		wantKind(t, err, restock.Unauthorized)
	}
	s.wantCount(`SELECT COUNT(*) FROM receipts`, 0)
}

func bookedOnProduct(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 1, 0, 10)))
	secret := s.secret()
	s.mustBuy("A", 1)
	got := s.receiveUnsigned(unsigned("A", 10, "ten", secret))
	want := restock.Receipt{
		ID: got.ID, SKU: "A", State: restock.ReceiptApplied, Claimed: "ten", Applied: 10, Remote: "192.0.2.1:4000", CreatedAt: s.clock.now(),
		Factory: factoryID,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(restock.Receipt{}, "Available")); diff != "" || got.Available != 10 {
		t.Errorf("receipt, %d available (-want +got):\n%s", got.Available, diff)
	}
	stored, _, err := s.Receipt(s.ctx(), got.ID)
	if diff := cmp.Diff(want, stored); diff != "" || err != nil {
		t.Errorf("stored, %v (-want +got):\n%s", err, diff)
	}
	s.wantStock("A", 10, 0)
	s.wantPublished(restock.StockBack, "A", 1)
	// The path names the product when the body does not, and in no other case.
	u := unsigned("", 5, "five", secret)
	u.Path = "A"
	if r := s.receiveUnsigned(u); r.State != restock.ReceiptApplied || r.SKU != "A" {
		t.Errorf("named by the path: %+v", r)
	}
	u = unsigned("B", 5, "five of B", secret)
	u.Path = "A"
	if r := s.receiveUnsigned(u); r.State != restock.ReceiptHeld || r.SKU != "" {
		t.Errorf("named by the body: %+v", r)
	}
	s.wantStock("A", 15, 0)
	secrets, _, err := s.FactorySecrets(s.ctx(), restock.ListQuery{Limit: 10})
	if err != nil || len(secrets) != 1 || !secrets[0].UsedAt.Equal(s.clock.now()) || secrets[0].Secret != "" {
		t.Errorf("secrets %+v, %v; want one that was used now, and is not told", secrets, err)
	}
}

func bookedOnOrder(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	secret := s.secret()
	a := s.placed("A", 10)
	if r := s.receiveUnsigned(unsigned("A", 4, "four", secret)); r.OrderID != a.OrderID || r.Attempt != 1 || r.Applied != 4 {
		t.Errorf("four: %+v", r)
	}
	s.wantStock("A", 4, 6)
	if r := s.receiveUnsigned(unsigned("A", 8, "eight", secret)); r.Applied != 6 || r.Held != 2 {
		t.Errorf("eight, of which six are missing: %+v", r)
	}
	s.wantStock("A", 10, 0)
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived)
	if r := s.receiveUnsigned(unsigned("A", 4, "four", secret)); r.State != restock.ReceiptHeld {
		t.Errorf("four again, when no order is open: %+v", r)
	}
	if r := s.receiveUnsigned(unsigned("A", 3, "three", secret)); r.Applied != 3 || !r.OrderID.IsZero() {
		t.Errorf("three of no order: %+v", r)
	}
	s.wantStock("A", 13, 0)
}

func equalUnsigned(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	secret := s.secret()
	first := s.receiveUnsigned(unsigned("A", 10, "ten", secret))
	second := s.receiveUnsigned(unsigned("A", 10, "ten", secret))
	third := s.receiveUnsigned(unsigned("A", 10, "ten", secret))
	if first.State != restock.ReceiptApplied || second.State != restock.ReceiptHeld || third.State != restock.ReceiptHeld || second.ID == third.ID {
		t.Errorf("first %+v, second %+v, third %+v", first, second, third)
	}
	s.wantReceipt(s.approve(second.ID, 0), restock.ReceiptApplied, 10, 0, 0)
	s.wantReceipt(s.approve(third.ID, 4), restock.ReceiptApplied, 4, 0, 6)
	s.wantStock("A", 24, 0)
	for range restock.RepeatsKeptMax + 3 {
		s.receiveUnsigned(unsigned("A", 10, "ten", secret))
	}
	s.wantCount(`SELECT COUNT(*) FROM receipts WHERE state = 'held'`, restock.RepeatsKeptMax)
	s.wantCount(`SELECT SUM(repeats) FROM receipts`, 3)
	s.wantStock("A", 24, 0)
}

func unsignedEvidence(t *testing.T, h harness) {
	c := catalogue(ordered("A", 0, 0, 10), plain("B", 0))
	c.Factories = append(c.Factories, restock.CatalogFactory{Identifier: "FF-2", URL: "http://127.0.0.1:4001/", Requester: "x"})
	c.Fill()
	s := h.shop(t, c)
	secret := s.secret()
	a := s.placed("A", 10)
	look := func(u restock.Unsigned) restock.UnsignedEvidence {
		var seen restock.UnsignedEvidence
		_, err := s.ReceiveUnsigned(s.ctx(), u, func(e restock.UnsignedEvidence) restock.UnsignedVerdict {
			seen = e
			return restock.UnsignedVerdict{Verdict: restock.Verdict{State: restock.ReceiptHeld}}
		})
		s.must(err)
		return seen
	}
	e := look(unsigned("A", 1, "one", secret))
	if e.Factory.Identifier != factoryID || e.Product.SKU != "A" || e.Seen || len(e.Awaited) != 1 || e.Awaited[0].Attempt.OrderID != a.OrderID {
		t.Errorf("evidence %+v", e)
	}
	if e := look(unsigned("A", 1, "one", secret)); !e.Seen {
		t.Error("an equal report was not seen")
	}
	if e := look(unsigned("B", 1, "B", secret)); e.Product.SKU != "B" || len(e.Awaited) != 0 {
		t.Errorf("of another product: %+v", e)
	}
	forged := secret
	forged.Hash[31] ^= 1
	if e := look(unsigned("A", 1, "one", forged)); !e.Factory.ID.IsZero() || e.Seen || !e.Product.ID.IsZero() || len(e.Awaited) != 0 {
		t.Errorf("I10 of a forger: %+v", e)
	}
	// The other factory's secret vouches for the other factory.
	other, _ := restock.ProofOf(restock.NewFactorySecret())
	_, err := s.AddFactorySecret(s.ctx(), "FF-2", other, by("theirs"), restock.Key{})
	s.must(err)
	if e := look(unsigned("A", 1, "one", forged, other)); e.Factory.Identifier != "FF-2" || e.Seen || len(e.Awaited) != 0 {
		t.Errorf("of the other factory: %+v", e)
	}
}

func unvouchedFull(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	secret := s.secret()
	var last restock.Receipt
	for range restock.UnvouchedMax {
		last = s.receiveUnsigned(unsigned("A", 10, "ten"))
		if last.State != restock.ReceiptHeld || last.Available != 0 || last.Factory != "" || last.SKU != "" {
			t.Fatalf("receipt %+v, want it held and nothing told", last)
		}
	}
	v, err := s.Vouch(s.ctx(), nil)
	if err != nil || !v.Full || !v.Kept {
		t.Errorf("vouched %+v, %v", v, err)
	}
	_, err = s.ReceiveUnsigned(s.ctx(), unsigned("A", 10, "one more"), believing)
	wantKind(t, err, restock.Unavailable)
	s.wantCount(`SELECT COUNT(*) FROM receipts`, restock.UnvouchedMax)
	if r := s.receiveUnsigned(unsigned("A", 10, "vouched for", secret)); r.State != restock.ReceiptApplied {
		t.Errorf("who is vouched for waits for no stranger: %+v", r)
	}
	_, err = s.RefuseReceipt(s.ctx(), last.ID, by("nobody knows it"))
	s.must(err)
	s.receiveUnsigned(unsigned("A", 10, "one more"))
	s.wantStock("A", 10, 0)
}

func approveUnvouched(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10), ordered("B", 0, 0, 10)))
	s.secret()
	named, other, unnamed := s.receiveUnsigned(unsigned("A", 10, "ten")), s.receiveUnsigned(unsigned("A", 5, "five")), s.receiveUnsigned(unsigned("", 3, "three"))
	s.wantReceipt(s.approve(named.ID, 0), restock.ReceiptApplied, 10, 0, 0)
	_, err := s.ApproveReceipt(s.ctx(), unnamed.ID, restock.Approval{}, by("counted"))
	wantKind(t, err, restock.Invalid)
	for id, product := range map[restock.ReceiptID]string{other.ID: "B", unnamed.ID: "B"} {
		r, err := s.ApproveReceipt(s.ctx(), id, restock.Approval{Product: product}, by("counted"))
		if err != nil || r.SKU != "B" {
			t.Errorf("approved %+v, %v", r, err)
		}
	}
	s.wantStock("A", 10, 0)
	s.wantStock("B", 8, 0)
}

func secretsTakeTurns(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	first := s.secret()
	second := s.secret()
	vouches := func(p restock.SecretProof) bool {
		v, err := s.Vouch(s.ctx(), []restock.SecretProof{p})
		s.must(err)
		return !v.Factory.IsZero()
	}
	if !vouches(first) || !vouches(second) {
		t.Error("of two secrets not both are good")
	}
	_, err := s.RemoveFactorySecret(s.ctx(), "FF-2", first.ID, by("gone"))
	wantKind(t, err, restock.NotFound)
	removed, err := s.RemoveFactorySecret(s.ctx(), factoryID, first.ID, by("the new one is used"))
	if err != nil || removed.ID != first.ID || removed.Factory != factoryID {
		t.Errorf("removed %+v, %v", removed, err)
	}
	if vouches(first) || !vouches(second) {
		t.Error("a removed secret is good, or the other is not")
	}
	if r := s.receiveUnsigned(unsigned("A", 10, "ten", first)); r.State != restock.ReceiptHeld {
		t.Errorf("with a removed secret: %+v", r)
	}
	_, err = s.RemoveFactorySecret(s.ctx(), factoryID, first.ID, by("again"))
	wantKind(t, err, restock.NotFound)
	for range restock.FactorySecretsMax - 1 {
		s.secret()
	}
	proof, _ := restock.ProofOf(restock.NewFactorySecret())
	_, err = s.AddFactorySecret(s.ctx(), factoryID, proof, by("one more"), restock.Key{})
	wantKind(t, err, restock.Conflict)
	_, err = s.AddFactorySecret(s.ctx(), "FF-9", proof, by("nowhere"), restock.Key{})
	wantKind(t, err, restock.NotFound)
	// One key makes one secret, and the repeat does not tell it.
	key := restock.Key{Name: "POST /v1/factory-secrets k1", Hash: [32]byte{1}}
	_, err = s.RemoveFactorySecret(s.ctx(), factoryID, second.ID, by("room"))
	s.must(err)
	made, err := s.AddFactorySecret(s.ctx(), factoryID, proof, by("one more"), key)
	s.must(err)
	other, _ := restock.ProofOf(restock.NewFactorySecret())
	again, err := s.AddFactorySecret(s.ctx(), factoryID, other, by("one more"), key)
	if err != nil || again.ID != made.ID || vouches(other) || !vouches(proof) {
		t.Errorf("under the same key %+v, %v; want %+v", again, err, made)
	}
	audited, _, err := s.Audit(s.ctx(), restock.ListQuery{State: "factory.secret_remove", Limit: 10})
	if err != nil || len(audited) != 2 || audited[1].Subject != factoryID || audited[1].Detail != "secret "+first.ID || audited[1].Actor != "kim" {
		t.Errorf("audit %+v, %v", audited, err)
	}
	s.wantCount(`SELECT COUNT(*) FROM audit WHERE action = 'factory.secret_make'`, 6)
}

// unsignedAtOnce lets reports of all kinds come at the same time: with a secret one
// is applied, and of what nobody vouches for no more is kept than may be.
func unsignedAtOnce(t *testing.T, h harness) {
	const calls = 300
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	secret := s.secret()
	var mu sync.Mutex
	applied, refused := 0, 0
	atOnce(calls, func(i int) {
		u := unsigned("A", 10, "ten", secret)
		if i%2 == 0 {
			u.Proofs = nil
		}
		r, err := s.ReceiveUnsigned(s.ctx(), u, believing)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case restock.KindOf(err) == restock.Unavailable: // there is no room, or a busy server has no connection
			refused++
		case err != nil:
			t.Error(err)
		case r.State == restock.ReceiptApplied:
			applied++
		}
	})
	if applied != 1 {
		t.Errorf("%d of %d equal reports were applied", applied, calls/2)
	}
	if most := s.count(`SELECT COUNT(*) FROM receipts WHERE factory_id IS NULL`); most > restock.UnvouchedMax {
		t.Errorf("%d are kept that nobody vouches for, at most %d may be", most, restock.UnvouchedMax)
	}
	if kept := s.count(`SELECT COUNT(*) + SUM(repeats) FROM receipts`); kept+int64(refused) != calls {
		t.Errorf("I7 %d calls: %d kept, %d told to come again", calls, kept, refused)
	}
	s.wantStock("A", 10, 0)
}
