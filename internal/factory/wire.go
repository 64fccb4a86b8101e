package factory

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// MessageGroup is the MessageGroupId that the factory expects in every order.
const MessageGroup = "stock-arrival-group"

// CountMax is the largest number of pieces that a count can say: it is written
// in at most countDigitsMax digits.
const (
	CountMax       = 999_999_999
	countDigitsMax = 9
)

// Request is one order as the factory takes it. All its values are strings on
// the wire, and the factory sends the same body back to CallbackURL when the
// goods are made.
type Request struct {
	ProductID   string `json:"MessageAttributeProductId"`
	Count       int64  `json:"MessageAttributeProductCnt,string"`
	FactoryID   string `json:"MessageAttributeFactoryId"`
	Requester   string `json:"MessageAttributeRequester"`
	CallbackURL string `json:"CallbackUrl"`
}

// MarshalJSON writes the order with its message group.
func (r Request) MarshalJSON() ([]byte, error) {
	type fields Request
	return json.Marshal(struct {
		fields

		MessageGroupID string `json:"MessageGroupId"`
	}{fields(r), MessageGroup})
}

// accepted is the factory's 201. Its spelling "reqestor" is the real one's.
type accepted struct {
	Data acceptedData `json:"data"`
}

type acceptedData struct {
	ID        string          `json:"id"`
	Requester string          `json:"reqestor"`
	Data      json.RawMessage `json:"data"` // the order as it came
}

// parseAccepted gives the factory's own id of an order out of its answer, and ""
// when the answer is not one. An id written as a number is an id too.
func parseAccepted(body []byte) string {
	var answer struct {
		Data struct {
			ID json.RawMessage `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return ""
	}
	id := answer.Data.ID
	if len(id) == 0 || !strings.ContainsRune(`"-0123456789`, rune(id[0])) {
		return ""
	}
	return excerpt([]byte(textOf(id)))
}

// Count is a number of pieces as somebody wrote it: senders write a string or a
// number, and some write nonsense. It keeps the text, so that a person can see
// what was claimed.
type Count string

// The reasons why a count cannot be read.
var (
	errCountMissing  = errors.New("the count is missing or empty")
	errCountTooLong  = errors.New("the count has more than 9 digits")
	errCountUnplain  = errors.New("the count is not a whole number in plain digits")
	errCountNotAbove = errors.New("the count is not above zero")
)

// UnmarshalJSON keeps any JSON value as its text; it never fails, since a count
// that cannot be read is evidence and no reason to refuse the whole body.
func (c *Count) UnmarshalJSON(b []byte) error {
	*c = Count(textOf(b))
	return nil
}

// Pieces reads the count, which is from 1 to CountMax. "1e3" and 3.0 are
// refused although a number could be made of them: what two programs may read
// differently, a person has to read. The error says why, for people.
func (c Count) Pieces() (int64, error) {
	if c == "" {
		return 0, errCountMissing
	}
	if strings.Trim(string(c), "0123456789") != "" {
		return 0, errCountUnplain
	}
	if len(c) > countDigitsMax {
		return 0, errCountTooLong
	}
	n, err := strconv.ParseInt(string(c), 10, 64)
	if err != nil {
		return 0, errCountUnplain
	}
	if n == 0 {
		return 0, errCountNotAbove
	}
	return n, nil
}

// textOf gives a JSON value as text: a string's content, nothing for null, and
// anything else as it is written.
func textOf(raw json.RawMessage) string {
	var s string
	if err := json.Unmarshal(raw, &s); err == nil {
		return s // null leaves it empty
	}
	return string(raw)
}
