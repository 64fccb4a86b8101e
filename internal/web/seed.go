package web

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/restock/restock"
)

// The seed routes are spoken by programs that exist already. Their answers are
// plain JSON with a message for people, in Korean unless asked for English;
// to it we add the code, and for mistakes of the caller the detail.

// SeedError answers a seed route with an error. message says it in the
// caller's language; "" takes the text that belongs to the error's code.
func SeedError(w http.ResponseWriter, r *http.Request, logger *slog.Logger, err error, message string) {
	fault := Report(w, r, logger, err)
	language := Language(r)
	if message == "" {
		message = seedText(fault.Code, language)
	}
	SetLanguage(w, language)
	WriteJSON(w, fault.Status, struct {
		Message string       `json:"message"`
		Code    restock.Code `json:"code"`
		Detail  string       `json:"detail,omitempty"`
	}{message, fault.Code, fault.Detail})
}

// SeedNotFound answers whatever no seed route knows.
func SeedNotFound(w http.ResponseWriter, _ *http.Request) {
	WriteJSON(w, http.StatusNotFound, struct {
		Error string       `json:"error"`
		Code  restock.Code `json:"code"`
	}{"Not Found", restock.CodeNotFound})
}

func seedText(code restock.Code, language restock.Language) string {
	ko, en := "처리하지 못했습니다", "Internal error"
	switch code { //nolint:exhaustive // all other codes are an internal error to a buyer.
	case restock.CodeUnknownProduct:
		ko, en = "상품 없음", "No such product"
	case restock.CodeInvalid:
		ko, en = "잘못된 요청입니다", "Bad request"
	case restock.CodeTooLarge:
		ko, en = "요청이 너무 큽니다", "The request is too large"
	case restock.CodeUnauthorized:
		ko, en = "인증되지 않은 요청입니다", "Not authenticated"
	case restock.CodeKeyReused:
		ko, en = "같은 Idempotency-Key로 다른 요청이 이미 처리되었습니다", "The Idempotency-Key was used with another request"
	case restock.CodeRateLimited:
		ko, en = "요청이 너무 많습니다. 잠시 후 다시 시도해 주세요", "Too many requests; please try again in a moment"
	case restock.CodeConflict:
		ko, en = "지금 상태에서는 할 수 없습니다", "Not possible in the present state"
	case restock.CodeUnavailable:
		ko, en = "지금은 처리할 수 없습니다. 잠시 후 다시 시도해 주세요", "Not possible right now; please try again in a moment"
	}
	if language == restock.English {
		return en
	}
	return ko
}

// SeedUnknownProduct makes an unknown product the bad request that it is on the
// seed routes, where 404 means an unknown path.
func SeedUnknownProduct(err error) error {
	e, ok := errors.AsType[*restock.Error](err)
	if !ok || e.Code != restock.CodeUnknownProduct {
		return err
	}
	return &restock.Error{Kind: restock.Invalid, Code: e.Code, Message: e.Message, Err: e.Err}
}
