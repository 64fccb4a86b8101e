package web

import (
	"bytes"
	"errors"
	"net/http"
	"strings"

	"github.com/restock/restock"
)

// bodyBytesExpected bounds the memory that a Content-Length gets in advance: a
// client that announces much and sends nothing shall cost nothing.
const bodyBytesExpected = 4 << 10

// ReadBody reads the whole body, up to bytesMax. A longer one gives an error of
// kind TooLarge together with its first bytesMax bytes, for who has to keep
// evidence. A body that is compressed, cut short or too slow is Invalid.
func ReadBody(w http.ResponseWriter, r *http.Request, bytesMax int64) ([]byte, error) {
	if err := requirePlain(r.Header); err != nil {
		return nil, err
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	expected := min(max(r.ContentLength, 0), bytesMax, bodyBytesExpected)
	body := bytes.NewBuffer(make([]byte, 0, expected+bytes.MinRead))
	_, err := body.ReadFrom(http.MaxBytesReader(innermost(w), r.Body, bytesMax))
	return body.Bytes(), bodyError(err, bytesMax)
}

// requirePlain refuses compressed bodies, so that a few bytes on the wire never
// become gigabytes in memory.
func requirePlain(h http.Header) error {
	for _, encoding := range h["Content-Encoding"] {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return restock.Errorf(restock.Invalid, restock.CodeInvalid,
				"The body has a Content-Encoding. Send it uncompressed.")
		}
	}
	return nil
}

func bodyError(err error, bytesMax int64) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return restock.Errorf(restock.TooLarge, restock.CodeTooLarge,
			"The body is larger than %d bytes. Send less at a time.", bytesMax)
	}
	return &restock.Error{
		Kind: restock.Invalid, Code: restock.CodeInvalid, Err: err,
		Message: "The body did not arrive whole. Send it again.",
	}
}

// innermost finds net/http's own writer, which MaxBytesReader tells to close
// the connection after the answer, so that the rest of a flood is never read.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = outer.Unwrap()
	}
}
