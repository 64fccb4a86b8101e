package store_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

// TestProductsFromBeforeAreListedAndFound: the step that lists products by
// urgency and by words does so for those that are there.
func TestProductsFromBeforeAreListedAndFound(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/schema-*.db")
	if err != nil || len(files) == 0 {
		t.Fatalf("files of old schemas: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "old.db")
			copyFile(t, file, path)
			s := openStory(t, path)
			rows, _, err := s.ProductsByUrgency(t.Context(), restock.UrgencyQuery{})
			if err != nil || len(rows) != 2 {
				t.Fatalf("%d products are listed, %v, want 2", len(rows), err)
			}
			for text, want := range map[string][]string{
				"도너츠": {"CP-1", "CP-2"}, "너츠 cp": {"CP-1", "CP-2"}, "도너츠 2": {"CP-2"}, "cp-1": {"CP-1"}, "츠": nil, "donut": nil,
			} {
				found, err := s.SearchProducts(t.Context(), text, 10)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, r := range found.Rows {
					got = append(got, string(r.SKU))
				}
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%q finds (-want +got):\n%s", text, diff)
				}
			}
		})
	}
}
