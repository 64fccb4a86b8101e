package store

import (
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

func TestAServerThatIsTooOldIsRefused(t *testing.T) {
	t.Parallel()
	for _, server := range []struct {
		dialect sqlqueue.Dialect
		version string
		taken   bool
	}{
		{sqlqueue.MySQL, "8.0.36", true},
		{sqlqueue.MySQL, "8.4.2", true},
		{sqlqueue.MySQL, "9.1.0", true},
		{sqlqueue.MySQL, "5.7.44-log", false},
		{sqlqueue.MySQL, "10.11.19-MariaDB-0+deb12u1", true},
		{sqlqueue.MySQL, "5.5.5-10.6.1-MariaDB", true},
		{sqlqueue.MySQL, "11.4.2-MariaDB", true},
		{sqlqueue.MySQL, "10.5.9-MariaDB", false},
		{sqlqueue.PostgreSQL, "15.13 (Debian 15.13-0+deb12u1)", true},
		{sqlqueue.PostgreSQL, "17rc1", true},
		{sqlqueue.PostgreSQL, "9.6.24", false},
		{sqlqueue.PostgreSQL, "", false},
	} {
		err := requireVersion(server.dialect, server.version)
		if (err == nil) != server.taken || err != nil && restock.KindOf(err) != restock.Invalid {
			t.Errorf("%s %q: %v, want taken %t", server.dialect, server.version, err, server.taken)
		}
	}
}
