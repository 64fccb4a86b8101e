package sqlqueue

import (
	"embed"
	"fmt"
	"io/fs"
)

// VersionTable is where the migrations remember how far they came. It is not
// that of the store's own migrations, so that the two can grow apart.
const VersionTable = "queue_goose_version"

//go:embed migrations
var migrations embed.FS

// Migrations gives the goose migrations for a dialect.
func Migrations(dialect Dialect) (fs.FS, error) {
	files, err := fs.Sub(migrations, "migrations/"+dialect.String())
	if err != nil {
		return nil, fmt.Errorf("queue tables for the SQL dialect %s: %w", dialect, err)
	}
	return files, nil
}
