package kvstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// ErrDamaged is wrapped by the error of a Digest that found something else in
// memory than Apply has put there.
var ErrDamaged = errors.New("the state in memory is not what was applied")

// digestStep is how many versions a Digest reads between two pauses: some 100 µs.
const digestStep = 256

// Digest freezes the state at once, and returns what hashes all of it anew: each
// version, lease and request as it lies in memory, and the trees that lead to
// them. Hash, in contrast, tells what was reckoned as the state changed, and does
// not see a bit that flips afterwards.
//
// The returned function is called once, on any goroutine, while Apply goes on. It
// returns what Hash returned at the moment, or an error that wraps ErrDamaged. It
// calls pause all the time, which may take its time; an error of pause ends the
// scan and is returned. Until then memory holds what the store had at the moment.
func (m *Machine) Digest() func(pause func() error) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.state
	for _, t := range []*tree{
		&s.tree, &s.leases.tree, &s.leases.attached, &s.leases.deadlines, &s.requests.records, &s.requests.index,
	} {
		t.freeze()
	}
	d := &digest{state: *s}
	return d.scan
}

// digest is one scan.
type digest struct {
	state state // of the moment; events are not frozen and not looked at
	pause func() error
	left  int // versions until the next pause
	buf   []byte
	good  traitsGuard

	sum            uint64
	keys           int
	bytes, history uint64

	// What is attached to leases and ends when follows from keys and leases, and
	// the index of the requests from these: sums of what should be there.
	attached, deadlines, index tally
}

// tally is a number of keys and the sum of their hashes.
type tally struct {
	n   int
	sum uint64
}

func (y *tally) add(key []byte) {
	y.n++
	y.sum += xxhash.Sum64(key)
}

func (d *digest) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
}

func (d *digest) scan(pause func() error) (uint64, error) {
	d.pause = pause
	s := &d.state
	for _, k := range s.marks {
		d.sum += k.hash()
	}
	for _, part := range []struct {
		name string
		tree *tree
		each func(*item) error
	}{
		{"leases", &s.leases.tree, d.lease},
		{"requests", &s.requests.records, d.request},
		{"keys", &s.tree, d.versions},
	} {
		if err := d.walk(part.tree, part.each); err != nil {
			return 0, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	for _, part := range []struct {
		name string
		tree *tree
		want tally
	}{
		{"attachments to leases", &s.leases.attached, d.attached},
		{"deadlines", &s.leases.deadlines, d.deadlines},
		{"index of requests", &s.requests.index, d.index},
	} {
		var have tally
		err := d.walk(part.tree, func(it *item) error { have.add(it.kv[:cap(it.kv)]); return nil })
		if err == nil && have != part.want {
			err = d.damaged("%d with sum %016x, should be %d with %016x", have.n, have.sum, part.want.n, part.want.sum)
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	if d.keys != s.keys || d.bytes != s.bytes || d.history != s.history {
		return 0, d.damaged("%d keys of %d bytes with a history of %d, should be %d of %d with %d",
			d.keys, d.bytes, d.history, s.keys, s.bytes, s.history)
	}
	kept := s.hash()
	s.sum = d.sum
	if scanned := s.hash(); scanned != kept {
		return 0, d.damaged("hash %016x, should be %016x", scanned, kept)
	}
	return kept, nil
}

// traitsGuard looks at what a version's hash takes for granted, the hash of its
// traits. It remembers the last that were right: most versions share theirs.
type traitsGuard struct{ good *traits }

func (g *traitsGuard) sound(t *traits) bool {
	if t == g.good {
		return true
	}
	want := hashTraits(t.contentType, t.lease, t.ttl, t.deadline)
	if t == expired {
		want = ^want
	}
	if t.hash != want {
		return false
	}
	g.good = t
	return true
}

// step pauses now and then.
func (d *digest) step() error {
	if d.left--; d.left > 0 {
		return nil
	}
	d.left = digestStep
	return d.pause()
}

// versions hashes all versions of a key that are not forgotten. Others may still
// lie behind them, here and not on another member.
func (d *digest) versions(newest *item) error {
	compacted := d.state.compacted
	if newest.deleted() {
		d.history += newest.cost()
	} else {
		d.keys++
		d.bytes += newest.size()
		if t := newest.traits; t.lease != 0 {
			d.buf = binary.BigEndian.AppendUint64(d.buf[:0], uint64(t.lease))
			d.buf = append(d.buf, newest.kv...)
			d.attached.add(d.buf)
		} else if t.ttl != 0 {
			d.due(uint64(t.deadline), dueKey, newest.kv)
		}
	}
	for it := newest; it != nil && !it.forgotten(compacted); it = it.prev {
		if err := d.step(); err != nil {
			return err
		}
		if t := it.traits; !d.good.sound(t) {
			return d.damaged("content type %q, lease %s, TTL %s until %s", t.contentType, t.lease, t.ttl, t.deadline)
		}
		if it.prev != nil && it.prev.modRevision >= it.modRevision {
			return d.damaged("%q: revision %d before %d", it.kv, it.prev.modRevision, it.modRevision)
		}
		d.sum += it.hash()
		if it != newest {
			d.history += it.cost()
		}
		if it.modRevision <= compacted {
			break
		}
	}
	return nil
}

func (d *digest) lease(it *item) error {
	if len(it.kv) != 8 || it.size() != 24 {
		return d.damaged("a lease of %d bytes", it.size())
	}
	l := leaseOf(it)
	d.sum += it.hash()
	d.due(uint64(l.Deadline), dueLease, it.kv)
	return d.step()
}

func (d *digest) request(it *item) error {
	x, ok := decodeRecord(it.value())
	if !ok {
		return d.damaged("request %x", it.kv)
	}
	d.sum += it.hash()
	d.buf = append(append(d.buf[:0], x.key...), it.kv...)
	d.index.add(d.buf)
	return d.step()
}

// due counts what should be among the deadlines.
func (d *digest) due(deadline uint64, kind byte, key []byte) {
	d.buf = binary.BigEndian.AppendUint64(d.buf[:0], deadline)
	d.buf = append(append(d.buf, kind), key...)
	d.deadlines.add(d.buf)
}

// walk calls each with the items in their order, and checks that a look-up would
// find every one of them.
func (d *digest) walk(t *tree, each func(*item) error) error {
	w := treeWalk{d: d, each: each}
	if err := w.node(t.root, "", ""); err != nil {
		return err
	}
	if w.n != t.n {
		return d.damaged("%d items, should be %d", w.n, t.n)
	}
	return nil
}

type treeWalk struct {
	d    *digest
	each func(*item) error
	last []byte // key, nil before the first
	n    int

	touched uint64 // nothing: keeps the compiler from leaving touch out
}

// node walks what should have all keys from low on that are below high; "" is no
// bound.
func (w *treeWalk) node(nd node, low, high string) error {
	switch x := nd.(type) {
	case *leaf:
		return w.leaf(x, low, high)
	case *inner:
		if !x.sound(low, high) {
			return w.d.damaged("inner node between %q and %q", low, high)
		}
		for i, kid := range x.kids[:x.n] {
			from, to := low, high
			if i > 0 {
				from = x.seps[i-1]
			}
			if i < int(x.n)-1 {
				to = x.seps[i]
			}
			if err := w.node(kid, from, to); err != nil {
				return err
			}
		}
		return nil
	}
	return w.d.damaged("a node that is neither leaf nor inner")
}

func (w *treeWalk) leaf(l *leaf, low, high string) error {
	if l.n < 0 || l.n > leafMax {
		return w.d.damaged("leaf of %d items", l.n)
	}
	w.touch(l.items[:l.n])
	for i, it := range l.items[:l.n] {
		if it == nil {
			return w.d.damaged("no item after %q", w.last)
		}
		key := it.kv
		if w.last != nil && string(w.last) >= string(key) || string(key) < low || high != "" && string(key) >= high {
			return w.d.damaged("%q after %q, between %q and %q", key, w.last, low, high)
		}
		if l.tags[i] != tagOf(key) {
			return w.d.damaged("tag of %q", key)
		}
		if err := w.each(it); err != nil {
			return err
		}
		w.last = key
	}
	w.n += l.n
	if l.n == 0 {
		return nil
	}
	return w.d.step()
}

// touch brings what items refer to into the cache. Most of a scan is waiting for
// memory: here the processor waits for many at once, below for one after the other.
func (w *treeWalk) touch(items []*item) {
	for _, it := range items {
		if it != nil {
			w.touched += it.version
		}
	}
	for _, it := range items {
		if it != nil && cap(it.kv) > 0 {
			b := it.kv[:cap(it.kv)]
			w.touched += uint64(b[0]) + uint64(b[len(b)-1])
		}
	}
}

// sound says that a search in the node leads where its separators say, and that
// these ascend between low and high.
func (in *inner) sound(low, high string) bool {
	if in.n < 2 || in.n > innerMax || in.common < 0 {
		return false
	}
	last := low
	common := int(in.common)
	for i, sep := range in.seps[:in.n-1] {
		if sep <= last || len(sep) < common || sep[:common] != in.seps[0][:common] ||
			in.heads[i] != head([]byte(sep[common:])) {
			return false
		}
		last = sep
	}
	return high == "" || last < high
}
