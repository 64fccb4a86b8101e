package main

import (
	"fmt"
	"time"
)

// progressInterval is how often long work is heard of.
const progressInterval = 2 * time.Second

// progress tells how far long work has come; short work passes in silence.
type progress struct {
	console *console
	what    string
	start   time.Time
	told    time.Time
	done    int
}

func newProgress(c *console, what string) *progress {
	now := time.Now()
	return &progress{console: c, what: what, start: now, told: now}
}

func (p *progress) add(n int) {
	p.done += n
	if time.Since(p.told) >= progressInterval {
		p.told = time.Now()
		p.tell()
	}
}

func (p *progress) end() {
	if p.told != p.start {
		p.tell()
	}
}

func (p *progress) tell() {
	took := time.Since(p.start)
	fmt.Fprintf(p.console.errOut, "%d %s in %s, %.0f a second\n", p.done, p.what, took.Round(time.Second), float64(p.done)/took.Seconds())
}
