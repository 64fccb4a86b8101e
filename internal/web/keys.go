package web

// The keys of log attributes, so that a search finds the same fact under the
// same name in every line.
const (
	KeyMethod   = "method"
	KeyPath     = "path" // without the query, which can carry a token
	KeyStatus   = "status"
	KeyBytes    = "bytes" // of the answer's body
	KeyDuration = "duration"
	KeyRemote   = "remote"
	KeyTrace    = "trace_id"
	// KeyRequestTrace is the trace that a request came with, where another one
	// is that of its story.
	KeyRequestTrace = "request_trace_id"
	KeyCode         = "code" // of the problem that was answered
	KeyError        = "error"
	KeyStack        = "stack"
	KeyServer       = "server"
	KeyAddress      = "address"
	KeyCheck        = "check" // the name of a health check
	KeyLimit        = "limit"
)
