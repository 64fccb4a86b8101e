package store_test

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// disk is a file system for SQLite on top of the real one. It keeps a log of
// everything that a disk would see, in the order in which it happened, and of
// what was answered in between; and it can be made to fail.
//
// Nothing is really synced: what would be durable is worked out from the log.
type disk struct {
	vfs.VFS
	name string // by which SQLite knows it

	mu     sync.Mutex
	log    []event
	faults faults
	quick  bool // syncs take no time
}

// faults is what is wrong with a disk; the zero faults are none.
type faults struct {
	// unheard are the suffixes of files whose syncs answer and do nothing.
	unheard []string
	// failing says which syncs fail.
	failing func(file string) bool
	// full is set when files cannot grow; then room is how much they still can.
	full bool
	room int64
}

// event is something that a disk sees, or an answer.
type event struct {
	what happening
	file string // its base name
	at   int64  // where it was written, or how long the file is afterwards
	data []byte
	from int    // the events before this one are what was synced
	name string // of what was answered
}

type happening int

const (
	wrote happening = iota
	truncated
	deleted
	synced
	unsynced // a sync that failed
	answered
)

// latencyMax bounds how long most syncs take, so that groups are decided and
// written meanwhile.
const latencyMax = 4 * time.Millisecond

func newDisk(t *testing.T, f faults) *disk {
	t.Helper()
	d := &disk{VFS: vfs.Find(""), name: "disk-" + t.Name(), faults: f}
	vfs.Register(d.name, d)
	t.Cleanup(func() { vfs.Unregister(d.name) })
	return d
}

// suffer changes what is wrong with the disk.
func (d *disk) suffer(f faults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = f
}

// forget empties the log.
func (d *disk) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = nil
}

// events gives the log.
func (d *disk) events() []event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.log)
}

// answer notes that somebody was told of something: it has to be durable.
func (d *disk) answer(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, event{what: answered, name: name})
}

// Sync is the store's Config.Sync. What is written while it waits is not
// covered, and neither is anything at all before it returns.
func (d *disk) Sync(path string) error {
	d.mu.Lock()
	from := len(d.log)
	d.mu.Unlock()
	if !d.quick {
		d.takeTime(from)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sync(filepath.Base(path), from)
}

// takeTime lets a sync take a random time, and one of four as long as it takes until
// something is written beside it, on a slow machine, too. It gives up when nobody
// seems to be there who would.
func (d *disk) takeTime(from int) {
	const oneOf, patience = 4, 50
	time.Sleep(rand.N(latencyMax))
	if rand.IntN(oneOf) > 0 {
		return
	}
	for range patience {
		d.mu.Lock()
		beside := slices.ContainsFunc(d.log[min(from, len(d.log)):], func(e event) bool { return e.what == wrote })
		d.mu.Unlock()
		if beside {
			return
		}
		time.Sleep(latencyMax)
	}
}

func (d *disk) sync(file string, from int) error {
	if slices.ContainsFunc(d.faults.unheard, func(s string) bool { return strings.HasSuffix(file, s) }) {
		return nil
	}
	if d.faults.failing != nil && d.faults.failing(file) {
		d.log = append(d.log, event{what: unsynced, file: file, from: from})
		return syscall.EIO
	}
	d.log = append(d.log, event{what: synced, file: file, from: from})
	return nil
}

// OpenFilename opens a file; temporary ones are nobody's business.
func (d *disk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := vfsutil.WrapOpenFilename(d.VFS, name, flags)
	if err != nil || name.String() == "" {
		return f, flags, err
	}
	return &diskFile{File: f, disk: d, name: filepath.Base(name.String())}, flags, nil
}

// Delete deletes a file.
func (d *disk) Delete(path string, syncDir bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.VFS.Delete(path, syncDir)
	if err == nil {
		d.log = append(d.log, event{what: deleted, file: filepath.Base(path)})
	}
	return err
}

// diskFile is a file on a disk. Its locks and its shared memory are real.
type diskFile struct {
	vfs.File
	disk *disk
	name string
}

func (f *diskFile) Unwrap() vfs.File { return f.File }

func (f *diskFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	fits, err := f.fits(p, off)
	if err != nil {
		return 0, err
	}
	n, err := f.File.WriteAt(p[:fits], off)
	f.disk.log = append(f.disk.log, event{what: wrote, file: f.name, at: off, data: slices.Clone(p[:n])})
	if err == nil && n < len(p) {
		err = sqlite3.FULL
	}
	return n, err
}

// fits says how much of a write has room.
func (f *diskFile) fits(p []byte, off int64) (int, error) {
	faults := &f.disk.faults
	if !faults.full {
		return len(p), nil
	}
	size, err := f.Size()
	if err != nil {
		return 0, err
	}
	grows := max(0, off+int64(len(p))-size)
	if grows <= faults.room {
		faults.room -= grows
		return len(p), nil
	}
	fits := max(0, int64(len(p))-(grows-faults.room))
	faults.room = 0
	return int(fits), nil
}

func (f *diskFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.log = append(f.disk.log, event{what: truncated, file: f.name, at: size})
	return f.File.Truncate(size)
}

func (f *diskFile) Sync(vfs.SyncFlag) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.sync(f.name, len(f.disk.log)); err != nil {
		return vfs.SystemError(err, sqlite3.IOERR_FSYNC)
	}
	return nil
}

// tape plays a log, and knows at each moment what is on the disk for certain
// and what may be.
type tape struct {
	log      []event
	next     int
	durable  map[string][]byte // nil for a file that is not there
	waiting  map[string][]int  // events that no sync has covered yet
	answered []string
	dice     *rand.Rand // for what a failed sync leaves
}

func newTape(base map[string][]byte, log []event, dice *rand.Rand) *tape {
	t := &tape{log: log, durable: map[string][]byte{}, waiting: map[string][]int{}, dice: dice}
	for name, content := range base {
		t.durable[name] = slices.Clone(content)
	}
	return t
}

// forward plays the events before the given one.
func (t *tape) forward(to int) {
	for ; t.next < to; t.next++ {
		switch e := t.log[t.next]; e.what {
		case answered:
			t.answered = append(t.answered, e.name)
		case synced:
			t.settle(e, func(content []byte, arrived []event) []byte {
				for _, a := range arrived {
					content = a.apply(content)
				}
				return content
			})
		case unsynced:
			// The kernel reports the failure once, and forgets what it could not
			// write: a later sync does not bring it.
			t.settle(e, func(content []byte, lost []event) []byte { return survive(t.dice, content, lost) })
		default:
			t.waiting[e.file] = append(t.waiting[e.file], t.next)
		}
	}
}

// settle makes durable what how leaves of the events that a sync covers.
func (t *tape) settle(sync event, how func([]byte, []event) []byte) {
	covered, _ := slices.BinarySearch(t.waiting[sync.file], sync.from)
	t.durable[sync.file] = how(t.durable[sync.file], t.pick(t.waiting[sync.file][:covered]))
	t.waiting[sync.file] = t.waiting[sync.file][covered:]
}

func (t *tape) pick(indices []int) []event {
	events := make([]event, len(indices))
	for i, index := range indices {
		events[i] = t.log[index]
	}
	return events
}

// cut gives the files as a power cut leaves them now.
func (t *tape) cut(dice *rand.Rand) map[string][]byte {
	files := map[string][]byte{}
	for _, name := range []string{dbName, logName} {
		files[name] = survive(dice, slices.Clone(t.durable[name]), t.pick(t.waiting[name]))
	}
	return files
}

// survive gives a file after some of its unsynced writes reached the disk.
func survive(dice *rand.Rand, content []byte, unsynced []event) []byte {
	odds := []float64{0.05, 0.5, 0.95}[dice.IntN(3)]
	lucky := func() bool { return dice.Float64() < odds }
	switch dice.IntN(5) {
	case 0: // nothing
		return content
	case 1: // all of them
		odds = 1
	case 2: // those before one of them, and a part of that one
		unsynced = unsynced[:dice.IntN(len(unsynced)+1)]
		for i, e := range unsynced {
			pieces := e.sectors()
			if i == len(unsynced)-1 {
				pieces = pieces[:dice.IntN(len(pieces)+1)]
			}
			for _, piece := range pieces {
				content = piece.apply(content)
			}
		}
		return content
	case 3: // some of them, each whole
		for _, e := range unsynced {
			if lucky() {
				content = e.apply(content)
			}
		}
		return content
	}
	for _, e := range unsynced { // some of their sectors
		for _, piece := range e.sectors() {
			if lucky() {
				content = piece.apply(content)
			}
		}
	}
	return content
}

// sectorSize is what a disk writes whole or not at all.
const sectorSize = 512

// sectors divides a write where the sectors of the disk begin.
func (e event) sectors() []event {
	if e.what != wrote {
		return []event{e}
	}
	var pieces []event
	for data, at := e.data, e.at; len(data) > 0; {
		n := min(int64(len(data)), sectorSize-at%sectorSize)
		pieces = append(pieces, event{what: wrote, file: e.file, at: at, data: data[:n]})
		data, at = data[n:], at+n
	}
	return pieces
}

// apply gives the content of a file after a write, a truncation or a deletion.
func (e event) apply(content []byte) []byte {
	switch e.what {
	case wrote:
		content = resize(content, max(int64(len(content)), e.at+int64(len(e.data))))
		copy(content[e.at:], e.data)
	case truncated:
		content = resize(content, e.at)
	case deleted:
		content = nil
	}
	return content
}

func resize(content []byte, size int64) []byte {
	if missing := size - int64(len(content)); missing > 0 {
		return append(content, make([]byte, missing)...)
	}
	return content[:size]
}
