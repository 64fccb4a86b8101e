package awslocal

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Cold measures cold starts: how long a product page and a checkout take, from the
// start of the function's process to the answer, and the same when it is warm.
func (s *Site) Cold(ctx context.Context, template *Template, n int) (cold, warm map[string][]time.Duration, err error) {
	f, address, stop, err := s.OpenFactory(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer stop()
	cloud, err := s.Deploy(ctx, Config{Template: template, Catalog: StoryCatalog(address)})
	if err != nil {
		return nil, nil, err
	}
	defer cloud.Close()
	story := &Story{Cloud: cloud, Factory: f}
	cold, warm = map[string][]time.Duration{}, map[string][]time.Duration{}
	for range n {
		for _, r := range [][2]string{{http.MethodGet, "/product/donut"}, {http.MethodPost, "/checkout"}} {
			for _, f := range cloud.functions {
				if !cloud.fed(f.id) {
					f.stop()
				}
			}
			for _, into := range []map[string][]time.Duration{cold, warm} {
				began := time.Now()
				code, answer, err := story.ask(ctx, r[0], cloud.API()+r[1], "", "")
				if err != nil || code >= http.StatusInternalServerError {
					return nil, nil, fmt.Errorf("%s %s answered %d %s: %w", r[0], r[1], code, answer, err)
				}
				into[r[0]+" "+r[1]] = append(into[r[0]+" "+r[1]], time.Since(began))
			}
		}
	}
	for _, all := range []map[string][]time.Duration{cold, warm} {
		for _, took := range all {
			slices.Sort(took)
		}
	}
	return cold, warm, nil
}
