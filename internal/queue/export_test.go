package queue

import "time"

// SetAway shortens the wait for a broker that is away.
func SetAway(m *Mover, base time.Duration) { m.away.base, m.away.limit = base, base }
