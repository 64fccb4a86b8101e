package jetstream

// Held counts the deliveries that an engine holds.
func Held(e *Engine) int {
	e.held.mu.Lock()
	defer e.held.mu.Unlock()
	return len(e.held.byHandle)
}

// Timers counts the deliveries about which the engine will say something by
// itself.
func Timers(e *Engine) int {
	e.held.mu.Lock()
	defer e.held.mu.Unlock()
	n := 0
	for _, h := range e.held.byHandle {
		if h.mu.TryLock() {
			if h.timer != nil && h.timer.Stop() {
				n++
			}
			h.mu.Unlock()
		}
	}
	return n
}

// Requests counts what an engine has sent to the server.
func Requests(e *Engine) uint64 { return e.nc.Stats().OutMsgs }

// Connected says whether an engine has a connection.
func Connected(e *Engine) bool { return e.nc.IsConnected() }
