package jetstream_test

import (
	"testing"

	"github.com/restock/restock/internal/queue/queuetest"
)

func TestMain(m *testing.M) {
	queuetest.NATSMain() // does not come back in a server's process
	m.Run()
}
