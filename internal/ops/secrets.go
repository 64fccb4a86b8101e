package ops

import (
	"context"
	"net/http"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// Secrets are the static secrets of factories, for callbacks without a token.
type Secrets interface {
	AddFactorySecret(ctx context.Context, factory string, proof restock.SecretProof, act restock.Act, key restock.Key) (restock.FactorySecret, error)
	RemoveFactorySecret(ctx context.Context, factory, id string, act restock.Act) (restock.FactorySecret, error)
	FactorySecrets(ctx context.Context, q restock.ListQuery) ([]restock.FactorySecret, string, error)
}

// FactorySecretBody is what making and removing a secret take; the id is for
// removing.
type FactorySecretBody struct {
	ActBody

	Factory string `json:"factory"`
	ID      string `json:"secret_id,omitempty"`
}

func (a *api) secretRoutes(mux *web.Mux) {
	mux.HandleFunc("GET /v1/factory-secrets?limit&after", list(a, a.store.FactorySecrets))
	mux.HandleFunc("POST /v1/factory-secrets", a.makeSecret)
	mux.HandleFunc("POST /v1/factory-secrets/remove", a.removeSecret)
}

// makeSecret answers with the secret, which is shown only here, and only once: under
// a key that was used it says which one was made.
func (a *api) makeSecret(w http.ResponseWriter, r *http.Request) {
	body, act, sent, err := readAct[FactorySecretBody](w, r, actionBytesMax)
	if err == nil && body.ID != "" {
		err = invalid("secret_id is for removing; a new secret gets its own")
	}
	var key restock.Key
	if err == nil {
		key, err = web.IdempotencyKey(r, "POST /v1/factory-secrets", sent)
	}
	text := restock.NewFactorySecret()
	proof, _ := restock.ProofOf(text)
	var secret restock.FactorySecret
	if err == nil {
		secret, err = a.store.AddFactorySecret(r.Context(), body.Factory, proof, act, key)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if secret.ID == proof.ID {
		a.logSecret(r, "a person made a factory's secret", secret, act)
		secret.Secret = text
		secret.CallbackURL = strings.TrimRight(a.cfg.PublicURL, "/") + "/product/PRODUCT?token=" + text
	}
	web.WriteJSON(w, http.StatusCreated, secret)
}

func (a *api) removeSecret(w http.ResponseWriter, r *http.Request) {
	body, act, _, err := readAct[FactorySecretBody](w, r, actionBytesMax)
	var secret restock.FactorySecret
	if err == nil {
		secret, err = a.store.RemoveFactorySecret(r.Context(), body.Factory, strings.ToLower(body.ID), act)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.logSecret(r, "a person removed a factory's secret", secret, act)
	web.WriteJSON(w, http.StatusOK, secret)
}

func (a *api) logSecret(r *http.Request, said string, secret restock.FactorySecret, act restock.Act) {
	a.log.InfoContext(r.Context(), said, "factory", secret.Factory, "secret_id", secret.ID, "by", act.By, "reason", act.Reason)
}
