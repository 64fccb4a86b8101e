package web

import (
	"net"
	"sync"
)

// gate is a listener that lets in a bounded number of connections at a time.
type gate struct {
	net.Listener

	places chan struct{}
	closed chan struct{}
	once   sync.Once
	// onCrowded is told when the last place is taken, and when a tenth is free
	// again. Only the one goroutine that accepts calls it and touches crowded.
	onCrowded func(crowded bool)
	crowded   bool
}

func newGate(listener net.Listener, placesMax int, onCrowded func(bool)) *gate {
	return &gate{
		Listener:  listener,
		places:    make(chan struct{}, placesMax),
		closed:    make(chan struct{}),
		onCrowded: onCrowded,
	}
}

// Accept waits for a place first, so that a client without one stays in the
// kernel's queue and costs nothing here.
func (g *gate) Accept() (net.Conn, error) {
	if err := g.enter(); err != nil {
		return nil, err
	}
	conn, err := g.Listener.Accept()
	if err != nil {
		g.leave()
		return nil, err //nolint:wrapcheck // net/http looks for net.Error in it.
	}
	return conn, nil
}

// Close also ends an Accept that waits for a place.
func (g *gate) Close() error {
	g.once.Do(func() { close(g.closed) })
	return g.Listener.Close() //nolint:wrapcheck // The caller says what was closed.
}

func (g *gate) enter() error {
	select {
	case g.places <- struct{}{}:
		if g.crowded && len(g.places) <= cap(g.places)-cap(g.places)/10 {
			g.setCrowded(false)
		}
		return nil
	default:
		g.setCrowded(true)
	}
	select {
	case g.places <- struct{}{}:
		return nil
	case <-g.closed:
		return net.ErrClosed
	}
}

func (g *gate) leave() { <-g.places }

func (g *gate) setCrowded(crowded bool) {
	if g.crowded == crowded {
		return
	}
	g.crowded = crowded
	g.onCrowded(crowded)
}
