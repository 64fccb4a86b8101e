package sqlqueue

import "sync"

// wakes tells all that wait for a queue that there may be something. Who waits
// takes the signal first and looks second: what comes after the look then
// closes the signal already in hand, and no wake is lost in between.
type wakes struct {
	mu     sync.Mutex
	signal map[string]chan struct{}
}

// next gives the channel that the next wake of the queue closes.
func (w *wakes) next(queue string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.signal == nil {
		w.signal = make(map[string]chan struct{})
	}
	if w.signal[queue] == nil {
		w.signal[queue] = make(chan struct{})
	}
	return w.signal[queue]
}

func (w *wakes) wake(queue string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.signal[queue]; c != nil {
		close(c)
		delete(w.signal, queue)
	}
}

// Woken gives a channel that is closed at the next Wake of a queue.
func (q *Queue) Woken(queue string) <-chan struct{} { return q.wakes.next(queue) }
