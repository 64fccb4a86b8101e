package story_test

import (
	"errors"
	"testing"
)

// engineKind is one kind of place where messages can be.
type engineKind struct {
	name string
	// open gives an engine with everything on it that restock needs.
	open func(t *testing.T) *engine
}

// engine is where the messages of one story are.
type engine struct {
	url         string
	stop, start func() error
}

func engines() []engineKind {
	return append([]engineKind{{"embedded", openEmbedded}}, brokers()...)
}

// brokers are the engines that can be away while the database is there.
func brokers() []engineKind { return nil }

func openEmbedded(*testing.T) *engine {
	inside := func() error { return errors.New("the embedded engine goes away with the database only") }
	return &engine{url: "db:", stop: inside, start: inside}
}
