package story_test

import (
	"encoding/json"
	"fmt"
)

// status is what the tests read of GET /v1/status.
type status struct {
	Low    int64            `json:"low"`
	Orders map[string]int64 `json:"open_orders"`
	Queues []struct {
		Queue     string `json:"queue"`
		Waiting   int64  `json:"waiting"`
		InFlight  int64  `json:"in_flight"`
		Dead      int64  `json:"dead"`
		Published int64  `json:"published"`
	} `json:"queues"`
}

// noneUnderWay gives an error while the server has still something to do: a
// message to handle, a product to order, an order to place.
func noneUnderWay(text []byte) error {
	var s status
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("reading the status: %w", err)
	}
	for _, q := range s.Queues {
		if q.Waiting+q.InFlight > 0 {
			return fmt.Errorf("%s has %d messages waiting and %d in flight", q.Queue, q.Waiting, q.InFlight)
		}
	}
	if s.Low > 0 || s.Orders["planned"]+s.Orders["sending"] > 0 {
		return fmt.Errorf("%d products are low, open orders are %v", s.Low, s.Orders)
	}
	return nil
}
