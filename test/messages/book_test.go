package messages_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
)

// book is what was seen of the messages on the roads, and what was wrong.
type book struct {
	tally *tally

	mu       sync.Mutex
	began    time.Time
	names    map[driver.ID]string
	named    map[string]int // how many messages of a type and subject have a name
	current  map[parcel]string
	spent    map[string]bool // handles whose answer was taken
	done     map[onQueue]int
	doneAt   map[driver.ID]int // when it was handled first, by the count of events
	met      map[onQueue]int
	events   int
	stories  map[string][]string
	promises map[string]*complaint
}

// onQueue is a message on one of its queues, and parcel one copy of it that the
// broker has there.
type (
	onQueue struct {
		queue string
		id    driver.ID
	}
	parcel struct {
		onQueue

		copied string
	}
)

// complaint is what is wrong about one promise: the first case, and how often.
type complaint struct {
	text string
	more int
}

func newBook(y *tally) *book {
	return &book{
		tally: y, names: map[driver.ID]string{}, named: map[string]int{}, current: map[parcel]string{},
		spent: map[string]bool{}, done: map[onQueue]int{}, doneAt: map[driver.ID]int{}, met: map[onQueue]int{},
		stories: map[string][]string{}, promises: map[string]*complaint{},
	}
}

// begin is when the clock of the world begins.
func (b *book) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.began = time.Now()
}

// broken notes that a promise does not hold, with the lines of a product's story
// that name one of the things that it is about.
func (b *book) broken(promise string, of subject, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c, ok := b.promises[promise]; ok {
		c.more++
		return
	}
	lines := append([]string{fmt.Sprintf(promise+" "+format, args...)}, b.story(of)...)
	b.promises[promise] = &complaint{text: strings.Join(lines, "\n\t")}
}

// subject is what a complaint is about: a product, and of its story what
// matters, such as the names of messages.
type subject struct {
	sku   string
	words []string
}

func about(sku string, words ...string) subject { return subject{sku, words} }

func (b *book) story(of subject) []string {
	const shown = 60
	story := slices.Clone(b.stories[of.sku])
	if len(of.words) > 0 {
		story = slices.DeleteFunc(story, func(line string) bool {
			return !slices.ContainsFunc(of.words, func(word string) bool { return strings.Contains(plainID(line), plainID(word)) })
		})
	}
	return story[max(0, len(story)-shown):]
}

// complaints are all that were noted, by promise.
func (b *book) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, c := range b.promises {
		text := c.text
		if c.more > 0 {
			text += fmt.Sprintf("\n\tand %d more of this promise", c.more)
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

// note adds a line to the story of a product.
func (b *book) note(sku, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell(sku, format, args...)
}

func (b *book) tell(sku, format string, args ...any) {
	b.stories[sku] = append(b.stories[sku], fmt.Sprintf("%12v  ", time.Since(b.began).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// name is what a message is called in every run of a seed: its type, what it is
// about, and the how manieth of these it is.
func (b *book) name(m driver.Message) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.nameOf(m)
}

func (b *book) nameOf(m driver.Message) string {
	if name, ok := b.names[m.ID]; ok {
		return name
	}
	of := m.Type + " of " + m.Subject
	b.named[of]++
	b.names[m.ID] = fmt.Sprintf("%s no. %d", of, b.named[of])
	return b.names[m.ID]
}

// took notes a receive, whose handle is the current one from now on, and gives
// the name of the message and how often it was met here.
func (b *book) took(d driver.Delivery, copied, by string) (string, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := onQueue{d.Queue, d.ID}
	b.current[parcel{at, copied}] = d.Handle
	b.met[at]++
	b.tell(d.Subject, "%s takes %s off %s, receive %d", by, b.nameOf(d.Message), d.Queue, d.Receives)
	return b.nameOf(d.Message), b.met[at]
}

// stale reports whether a handle works no more: it was answered with, or
// somebody received the message after it.
func (b *book) stale(d driver.Delivery, copied string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent[spentKey(d)] || b.current[parcel{onQueue{d.Queue, d.ID}, copied}] != d.Handle
}

func spentKey(d driver.Delivery) string { return d.Queue + d.ID.String() + d.Handle }

// answered notes what the engine said to an answer that was stale, or not, when
// it was given.
func (b *book) answered(d driver.Delivery, by, what string, stale bool, err error) {
	name := b.heard(d, by, what, err)
	if !stale {
		return
	}
	b.tally.count(staleAnswer)
	if err != nil {
		b.tally.count(staleRefused)
		return
	}
	b.broken("I8", about(d.Subject, name), "a stale answer changes nothing: %s by %s about %s was taken, though the message was answered or taken by another",
		what, by, name)
}

// heard takes down an answer, and gives the name of its message.
func (b *book) heard(d driver.Delivery, by, what string, err error) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := b.nameOf(d.Message)
	b.tell(d.Subject, "%s says %s about %s: %v", by, what, name, err)
	if err == nil && what != extend {
		b.spent[spentKey(d)] = true
	}
	if err == nil && what == done {
		b.done[onQueue{d.Queue, d.ID}]++
		b.events++
		if b.doneAt[d.ID] == 0 && d.Queue != restock.RelayQueue {
			b.doneAt[d.ID] = b.events
		}
	}
	return name
}

// event gives the number of something that happens now.
func (b *book) event() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events++
	return b.events
}
