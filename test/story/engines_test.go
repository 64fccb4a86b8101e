package story_test

import "testing"

// engine is one place where messages can be.
type engine struct {
	name string
	// open gives the URL of an engine that nobody else uses.
	open func(t *testing.T) (string, error)
}

func engines() []engine {
	return []engine{
		{"embedded", func(*testing.T) (string, error) { return "db:", nil }},
	}
}
