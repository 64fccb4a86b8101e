package factory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// The members of a callback, which is the order's own body, sent back.
const (
	keyProduct     = "MessageAttributeProductId"
	keyCount       = "MessageAttributeProductCnt"
	keyCountOld    = "OrderStockCnt" // one course variant calls the count so
	keyFactory     = "MessageAttributeFactoryId"
	keyRequester   = "MessageAttributeRequester"
	keyCallbackURL = "CallbackUrl"
)

// Report is what a callback claims. Nothing in it has been checked against an
// order. "" means that nothing was claimed.
type Report struct {
	ProductID   string
	FactoryID   string
	Requester   string
	CallbackURL string // may carry a token: Redact it before anybody sees it
	// Count is the number of pieces, from 1 to CountMax, or 0 exactly when
	// Problem says why the body cannot be relied on.
	Count   int64
	Claimed string // the count as it was written; for people, without a token, cut short
	Problem string // for people; carries no token
}

// ParseCallback reads a callback's body. It takes any bytes and never fails: the
// factory calls only once, so a body that cannot be read is held for a person
// and not refused. What could be read before the fault is given all the same,
// since the token in CallbackURL may be the only way to the order.
func ParseCallback(body []byte) Report {
	members, err := readMembers(body)
	count, countErr := readCount(members)
	report := Report{
		ProductID:   textOf(members[keyProduct]),
		FactoryID:   textOf(members[keyFactory]),
		Requester:   textOf(members[keyRequester]),
		CallbackURL: textOf(members[keyCallbackURL]),
		Claimed:     excerpt([]byte(count)),
	}
	if err == nil {
		err = countErr
	}
	if err == nil {
		report.Count, err = count.Pieces()
	}
	if err != nil {
		report.Problem = err.Error()
	}
	return report
}

// The reasons why a body cannot be relied on.
var (
	errBodyEmpty     = errors.New("the body is empty")
	errBodyNotJSON   = errors.New("the body is not well-formed JSON")
	errBodyNotObject = errors.New("the body is not a JSON object")
	errTwoCounts     = errors.New("the body has two counts that differ (" + keyCount + " and " + keyCountOld + ")")
)

// readMembers reads the object member by member, and gives what it has read when
// it meets a fault. encoding/json alone would take the last of two equal keys
// and the factory's program perhaps the first, so a repeated key is a fault.
func readMembers(body []byte) (map[string]json.RawMessage, error) {
	members := make(map[string]json.RawMessage)
	if len(bytes.TrimSpace(body)) == 0 {
		return members, errBodyEmpty
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		if json.Valid(body) {
			return members, errBodyNotObject
		}
		return members, errBodyNotJSON
	}
	repeated := readEach(decoder, members)
	if !json.Valid(body) { // also something after the object
		return members, errBodyNotJSON
	}
	return members, repeated
}

// readEach fills members up to the end of the object or the first place that is
// not JSON. Its error names the first key that came twice; the first value stays.
func readEach(decoder *json.Decoder, members map[string]json.RawMessage) error {
	var repeated error
	for decoder.More() {
		token, err := decoder.Token()
		key, isText := token.(string)
		if err != nil || !isText {
			return repeated
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return repeated
		}
		if _, seen := members[key]; !seen {
			members[key] = value
		} else if repeated == nil {
			repeated = fmt.Errorf("the body has the key %q twice", excerpt([]byte(key)))
		}
	}
	return repeated
}

// readCount finds the count under either of its names.
func readCount(members map[string]json.RawMessage) (Count, error) {
	count := Count(textOf(members[keyCount]))
	old := Count(textOf(members[keyCountOld]))
	switch {
	case count == "":
		return old, nil
	case old == "" || old == count:
		return count, nil
	default:
		return count, errTwoCounts
	}
}
