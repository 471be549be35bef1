package kvstore

import (
	"context"
	"encoding/binary"
	"time"
)

// MaxIdempotencyKeyBytes is the length of the longest idempotency key; the
// shortest has one byte.
const MaxIdempotencyKeyBytes = 128

func validRequestKey[T string | []byte](key T) bool {
	return len(key) > 0 && len(key) <= MaxIdempotencyKeyBytes
}

// How long and how many requests are remembered. The oldest go first. A client
// that retries for half a minute must find its key again while others write with
// keys as fast as they can, some tens of thousands a second.
const (
	requestAge   = 600 * time.Second
	requestMost  = 1_000_000
	requestBytes = 512 << 20

	// requestStep is how many one entry forgets for their age, so that it does not
	// hold up the writes in it for long.
	requestStep = 1_000

	// requestCost is what a record takes beside its key and its result.
	requestCost = 256
)

// Request is what became of a write that had an idempotency key.
type Request struct {
	Result   Result
	Op       OpKind // of a Put, Delete, DeleteRange; OpOther for the rest, which Result.Code tells
	WantPrev bool
}

// requests are the writes that had an idempotency key and what came of them, the
// oldest first. Like leases they are small items in trees:
//
//	records  number              the record as the value
//	index    idempotency key     number as the value
//
// A record holds its result encoded, so that it does not keep versions in memory
// that the history has forgotten.
type requests struct {
	records tree
	index   tree
	next    uint64        // number of the next; they have no gaps
	oldest  time.Duration // clock of the first
	bytes   uint64        // cost of all
}

func newRequests() requests { return requests{records: newTree(), index: newTree()} }

// record is one of the requests:
//
//	8 bytes  hash of the command, little-endian
//	uvarint  length of the command
//	uvarint  clock at which it was applied, in nanoseconds
//	byte     what it was: an OpKind
//	byte     1 if it asked for the previous item, else 0
//	bytes    idempotency key
//	         result, as AppendResult has it
type record struct {
	sum      uint64
	size     uint64
	clock    time.Duration
	op       OpKind
	wantPrev bool
	key      []byte
	result   []byte
}

func (x *record) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, x.sum)
	b = binary.AppendUvarint(b, x.size)
	b = binary.AppendUvarint(b, uint64(x.clock))
	prev := byte(0)
	if x.wantPrev {
		prev = 1
	}
	b = append(b, byte(x.op), prev)
	b = appendBytes(b, x.key)
	return append(b, x.result...)
}

// decodeRecord leaves it to its caller to look at the result.
func decodeRecord(b []byte) (record, bool) {
	if len(b) < 8 {
		return record{}, false
	}
	x := record{sum: binary.LittleEndian.Uint64(b)}
	c := cursor{b: b[8:]}
	x.size = c.uvarint()
	x.clock = time.Duration(c.uvarint())
	x.op = OpKind(c.byte())
	prev := c.byte()
	x.wantPrev = prev == 1
	x.key = c.bytes()
	x.result = c.b
	ok := !c.bad && x.clock >= 0 && prev <= 1 && validRequestKey(x.key) &&
		(x.op == OpPut || x.op == OpDelete || x.op == OpDeleteRange || x.op == OpOther)
	return x, ok
}

func (x *record) cost() uint64 { return uint64(len(x.key)+len(x.result)) + requestCost }

// recordOf returns the record of an item; it was good when it went in.
func recordOf(it *item) record {
	x, ok := decodeRecord(it.value())
	if !ok {
		panic("kvstore: a record of a request that is none")
	}
	return x
}

func requestNumber(n uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 8), n) }

// find returns the record of an idempotency key, nil when there is none.
func (rs *requests) find(key []byte) *item {
	if rs.index.n == 0 {
		return nil
	}
	at := rs.index.get(key)
	if at == nil {
		return nil
	}
	return rs.records.get(at.value())
}

// add puts a record behind all others and returns its item, whose value is b.
func (rs *requests) add(x *record, b []byte) *item {
	if rs.records.n == 0 {
		rs.oldest = x.clock
	}
	number := requestNumber(rs.next)
	rs.next++
	it := newItem(number, b, untyped)
	rs.records.set(rs.records.find(number), it)
	rs.index.set(rs.index.find(x.key), newItem(x.key, number, untyped))
	rs.bytes += x.cost()
	return it
}

// first returns the oldest.
func (rs *requests) first() *item {
	return rs.records.get(requestNumber(rs.next - uint64(rs.records.n)))
}

// request applies a command that has an idempotency key, unless that is known.
func (m *Machine) request(cmd *command) Result {
	s := &m.state
	if it := s.requests.find(cmd.key); it != nil {
		x := recordOf(it)
		if x.sum != cmd.sum || x.size != uint64(cmd.size) {
			return s.unchanged(IdempotencyMismatch, nil)
		}
		r := x.answer()
		r.Replayed = true
		return r
	}
	r := m.command(cmd.inner)
	if r.Code == TooLarge {
		return r // nothing changed, and it may succeed later
	}
	op := OpOther
	switch cmd.inner.kind {
	case commandPut:
		op = OpPut
	case commandDelete:
		op = OpDelete
	case commandDeleteRange:
		op = OpDeleteRange
	}
	x := record{cmd.sum, uint64(cmd.size), s.clock, op, cmd.inner.wantPrev, cmd.key, appendResult(nil, &r)}
	s.sum += s.requests.add(&x, x.append(nil)).hash()
	for s.requests.records.n > m.requestMost || s.requests.bytes > m.requestBytes {
		s.forgetRequest()
	}
	return r
}

// answer returns the result that a record holds, as it was the first time.
func (x *record) answer() Result {
	r, err := decodeResult(x.result)
	if err != nil {
		panic("kvstore: " + err.Error())
	}
	return r
}

// forgetRequests forgets requests for their age.
func (s *state) forgetRequests() {
	for range requestStep {
		if s.requests.records.n == 0 || s.clock-s.requests.oldest < requestAge {
			return
		}
		s.forgetRequest()
	}
}

func (s *state) forgetRequest() {
	rs := &s.requests
	it := rs.first()
	x := recordOf(it)
	s.sum -= it.hash()
	rs.bytes -= x.cost()
	rs.index.drop(x.key)
	rs.records.drop(it.kv)
	if rs.records.n > 0 {
		next := recordOf(rs.first())
		rs.oldest = next.clock
	}
}

// Request reads what is known of an idempotency key.
func (db *DB) Request(ctx context.Context, key string, o ReadOptions) (r Request, found bool, err error) {
	if err := db.await(ctx, o); err != nil {
		return Request{}, false, err
	}
	db.machine.mu.RLock()
	it := db.machine.state.requests.find([]byte(key))
	db.machine.mu.RUnlock()
	if it == nil {
		return Request{}, false, nil
	}
	x := recordOf(it)
	return Request{Result: x.answer(), Op: x.op, WantPrev: x.wantPrev}, true, nil
}
