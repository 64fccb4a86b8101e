package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/jetstream"
	"github.com/restock/restock/internal/queue/queuetest"
)

const (
	soakVisibility = 3 * time.Second
	soakBatch      = 20
	// soakAnswerTimeout is how long a server that was killed is waited for.
	soakAnswerTimeout = 5 * time.Second
	// soakReceivesMax is never reached: only poison dies.
	soakReceivesMax = 1000
	// soakPatience bounds the wait for what a cluster owes after it has lost
	// leaders; elections alone take seconds.
	soakPatience = 3 * time.Minute
)

// soakRounds is how often each server is stopped and started.
func soakRounds() int {
	if os.Getenv("RESTOCK_TEST_SOAK") != "" {
		return 20
	}
	return 1
}

// soakKills says whether servers are killed too: those who are left notice it
// late, and the test takes longer.
func soakKills() bool {
	return os.Getenv("RESTOCK_TEST_SOAK") != "" || os.Getenv("RESTOCK_TEST_FULL") != ""
}

// soak is a topic on a cluster, with what is known about its messages.
type soak struct {
	t       *testing.T
	cluster *queuetest.NATSCluster
	seed    uint64

	mu       sync.Mutex
	acked    map[driver.ID]bool // the publisher was told that it is there
	unknown  map[driver.ID]bool // a publish that failed: it may be there or not
	tries    map[driver.ID]int
	handled  map[driver.ID]bool
	dead     map[driver.ID]bool
	repeated int // handled once more: after a failover, that may be

	refused atomic.Int64 // late answers
	failed  atomic.Int64 // publishes
}

// TestAClusterLosesNothingWhileItsServersRestart: three servers keep three
// copies, and one after another is stopped or killed and started under load. What a
// publisher was told is there, is handled or a dead letter at the end; late
// answers are refused all the while.
func TestAClusterLosesNothingWhileItsServersRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a cluster; run without -short")
	}
	t.Parallel()
	s := &soak{
		t: t, cluster: queuetest.StartNATSProcesses(t), seed: rand.Uint64(),
		acked: make(map[driver.ID]bool), unknown: make(map[driver.ID]bool), tries: make(map[driver.ID]int),
		handled: make(map[driver.ID]bool), dead: make(map[driver.ID]bool),
	}
	t.Logf("seed %d", s.seed)
	began := time.Now()
	e := s.open()
	s.await("the queues are made", func() bool {
		_, err := e.Provision(t.Context(), true)
		return err == nil
	})

	working, stopWork := context.WithCancel(t.Context())
	publishing, stopPublishing := context.WithCancel(working)
	var publishers, workers sync.WaitGroup
	for n := range 2 {
		publisher, consumer := s.open(), s.open()
		publishers.Go(func() { s.publish(publishing, publisher, rand.New(rand.NewPCG(s.seed, uint64(n)))) })
		workers.Go(func() { s.consume(working, consumer) })
	}
	straggler, collector := s.open(), s.open()
	workers.Go(func() { s.straggle(working, straggler) })
	workers.Go(func() { s.collect(working, collector) })

	for round := range soakRounds() {
		for i, node := range s.cluster.Nodes {
			s.progress()
			if soakKills() && (round+i)%len(s.cluster.Nodes) == 0 {
				node.Kill()
			} else {
				node.Stop()
			}
			s.progress()
			node.Start()
			node.AwaitCurrent()
		}
	}
	s.progress()
	s.await("a late answer is refused", func() bool { return s.refused.Load() > 0 })
	stopPublishing()
	publishers.Wait()
	s.await("everything that was published is handled", func() bool { return s.missing() == 0 })
	s.await("nothing is left on the queues", func() bool {
		depths, err := e.Depths(t.Context())
		return err == nil && depths[0].Waiting+depths[0].InFlight+depths[0].Dead == 0
	})
	stopWork()
	workers.Wait()
	s.report(time.Since(began))
}

func (s *soak) open() *jetstream.Engine {
	s.t.Helper()
	return open(s.t, s.cluster.URL()+"?replicas=3", single(), jetstream.Config{
		Visibility: soakVisibility, ReceivesMax: soakReceivesMax, AnswerTimeout: soakAnswerTimeout,
	})
}

func (s *soak) await(what string, met func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(soakPatience)
	for !met() {
		if time.Now().After(deadline) {
			s.t.Fatalf("still waiting until %s (seed %d); %d messages are missing", what, s.seed, s.missing())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// progress waits until the cluster took and handed out more, whoever is down.
func (s *soak) progress() {
	s.t.Helper()
	const more = 3 * soakBatch
	s.mu.Lock()
	acked, handled := len(s.acked), len(s.handled)
	s.mu.Unlock()
	s.await("more is published and handled", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.acked) >= acked+more && len(s.handled) >= handled+more
	})
}

// missing counts what was acknowledged and has not come.
func (s *soak) missing() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for id := range s.acked {
		if !s.handled[id] && !s.dead[id] {
			n++
		}
	}
	return n
}

// publish publishes new messages, as fast as they are handled. What fails is
// offered once more, as a relay does.
func (s *soak) publish(ctx context.Context, e *jetstream.Engine, random *rand.Rand) {
	for ctx.Err() == nil {
		batch := make([]driver.Outgoing, soakBatch)
		for i := range batch {
			m := message(0, stockLow)
			for j := range m.ID {
				m.ID[j] = byte(random.Uint32())
			}
			if random.IntN(20) == 0 {
				m.Type = "poison"
			}
			batch[i] = topic(m)
		}
		for range 2 {
			// Not cut short by the end: its outcome is to be known.
			errs := e.Publish(context.WithoutCancel(ctx), batch)
			s.mu.Lock()
			for i, err := range errs {
				if err == nil {
					s.acked[batch[i].ID] = true
				} else {
					s.unknown[batch[i].ID] = true
					s.failed.Add(1)
				}
			}
			s.mu.Unlock()
			if errors.Join(errs...) == nil {
				break
			}
		}
		for ctx.Err() == nil && s.missing() > 10*soakBatch {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// consume handles messages; some fail at first, some want to come later, some
// are poison.
func (s *soak) consume(ctx context.Context, e *jetstream.Engine) {
	handler := func(_ context.Context, m queue.Message) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tries[m.ID]++
		if first := s.tries[m.ID] == 1; first && m.ID[15]%10 == 0 {
			return errors.New("once more")
		} else if first && m.ID[15]%10 == 1 {
			return queue.Later(time.Duration(m.ID[14]) * time.Millisecond)
		}
		if s.handled[m.ID] {
			s.repeated++
		}
		s.handled[m.ID] = true
		return nil
	}
	err := queue.New(e, stockQueue, map[string]queue.Handler{stockLow: handler}, queue.Config{
		Concurrency: 8, Visibility: soakVisibility, BackoffBase: 10 * time.Millisecond, BackoffMax: 100 * time.Millisecond,
		ReceivesMax: soakReceivesMax, Logger: quiet(),
	}).Run(ctx)
	if err != nil {
		s.t.Error(err)
	}
}

// collect takes the dead letters, as the desk does.
func (s *soak) collect(ctx context.Context, e *jetstream.Engine) {
	for ctx.Err() == nil {
		got, err := e.Receive(ctx, stockQueue+driver.DeadLetterSuffix, driver.Request{Max: 10, Visibility: soakVisibility, Wait: time.Second})
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		for _, d := range got {
			if d.Type != "poison" || !strings.Contains(d.Cause, "poison") {
				s.t.Errorf("dead letter %+v, want poison with its cause", d)
			}
			s.mu.Lock()
			s.dead[d.ID] = true
			s.mu.Unlock()
			_ = e.Done(ctx, d) // else it comes again
		}
	}
}

// straggle takes messages now and then, holds them for longer than it may, and
// comes back with an answer that must not count.
func (s *soak) straggle(ctx context.Context, e *jetstream.Engine) {
	for ctx.Err() == nil {
		got, err := e.Receive(ctx, stockQueue, driver.Request{Max: 2, Visibility: 0, Wait: time.Second})
		if err != nil || len(got) == 0 {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		select {
		case <-time.After(soakVisibility + soakVisibility/2): // the ack wait has passed
		case <-ctx.Done():
			return
		}
		for _, d := range got {
			if err := e.Done(ctx, d); !errors.Is(err, driver.ErrStale) {
				s.t.Errorf("a late answer: %v, want ErrStale", err)
			}
			s.refused.Add(1)
		}
	}
}

func (s *soak) report(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.handled {
		if !s.acked[id] && !s.unknown[id] {
			s.t.Errorf("message %s was handled, but never published", id)
		}
	}
	text := fmt.Sprintf("seed %d: %d rounds in %s: %d messages acknowledged, %d handled (%d of them more than once), %d dead letters, "+
		"%d publishes failed, %d late answers refused", s.seed, soakRounds(), took.Round(time.Second), len(s.acked), len(s.handled), s.repeated,
		len(s.dead), s.failed.Load(), s.refused.Load())
	s.t.Log(text)
}
