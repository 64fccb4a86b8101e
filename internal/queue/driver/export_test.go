package driver

// LeasesHeld counts what is remembered.
func LeasesHeld(l *Leases) int { return len(l.until) }
