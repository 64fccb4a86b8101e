package jetstream

import (
	"errors"
	"fmt"

	"github.com/restock/restock/internal/queue/driver"
)

// place is where the messages of one queue lie: a subject of a stream, and the
// durable consumer that reads it.
type place struct {
	queue    string // also the name of the consumer
	stream   string
	subject  string
	dead     string // the dead-letter queue beside it; "" for one of those
	original string // of a dead-letter queue: whose it is
}

// places are all the queues of a topic.
type places struct {
	stream   string // of the queues
	dead     string // of the dead-letter queues
	replicas int
	routes   []driver.Route
	byQueue  map[string]place
	inOrder  []place // as the routes, each dead-letter queue behind its queue
}

func newPlaces(stream string, replicas int, routes []driver.Route) (places, error) {
	p := places{
		stream:   stream,
		dead:     stream + driver.DeadLetterSuffix,
		replicas: replicas,
		routes:   routes,
		byQueue:  make(map[string]place),
	}
	if len(routes) == 0 {
		return places{}, errors.New("a queue on NATS needs at least one route")
	}
	for _, r := range routes {
		if !names.MatchString(r.Queue) || len(r.Queue) > nameRunesMax {
			return places{}, fmt.Errorf("queue name %q: allowed are letters, digits, - and _", r.Queue)
		}
		dead := r.Queue + driver.DeadLetterSuffix
		for _, at := range []place{
			{queue: r.Queue, stream: p.stream, dead: dead},
			{queue: dead, stream: p.dead, original: r.Queue},
		} {
			if _, twice := p.byQueue[at.queue]; twice {
				return places{}, fmt.Errorf("queue name %q: there are two of it", at.queue)
			}
			at.subject = p.stream + ".queue." + at.queue
			p.byQueue[at.queue] = at
			p.inOrder = append(p.inOrder, at)
		}
	}
	return p, nil
}

// of gives the place of a queue.
func (p places) of(queue string) (place, error) {
	at, ok := p.byQueue[queue]
	if !ok {
		return place{}, fmt.Errorf("there is no queue %q among the routes to NATS", queue)
	}
	return at, nil
}

// subjects gives those that a stream takes.
func (p places) subjects(stream string) []string {
	var subjects []string
	for _, at := range p.inOrder {
		if at.stream == stream {
			subjects = append(subjects, at.subject)
		}
	}
	return subjects
}
