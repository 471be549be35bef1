package httpapi

import (
	"net/http"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"kvd/internal/kvstore"
)

// feed writes events to one client: server-sent events, or one JSON object a
// line. It holds a buffer only while it has something to write.
//
// An id, from which a client may go on, stands on the last event of a revision
// and nowhere else, so that no resumption can split one.
type feed struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	sse    bool
	prev   bool    // tell what was there before
	chunk  *[]byte // from the pool; nil: buf is none of it
	buf    []byte
	torn   bool // the last event was not the last of its revision
	failed bool // the client is gone or does not read: all that follows is lost

	sent bool // the first bytes have been sent

	mu      sync.Mutex
	armed   time.Time // when the deadline for writing was set; guarded by mu
	hurried bool      // the deadline stays; guarded by mu
	ended   bool      // the connection is not ours any more; guarded by mu
}

// largeValue is a value that is written piece by piece, so that a client that
// does not read holds no more than a few chunks. Divisible by 3, for base64.
const largeValue = 3 << 10

// rearm is how late the deadline for writing may be moved: a stream of small
// events would else spend its time on that.
const rearm = time.Second

func newFeed(w http.ResponseWriter, sse, prev bool) *feed {
	return &feed{w: w, rc: http.NewResponseController(w), sse: sse, prev: prev}
}

// event appends one event.
func (f *feed) event(e *kvstore.Event) {
	f.torn = !e.Last
	f.open(eventNames[e.Type], e.ModRevision, e.Last)
	if e.Type == kvstore.EventPut {
		f.item(&e.Item, ',')
		f.buf = f.buf[:len(f.buf)-1] // more members may follow
	} else {
		f.buf = appendBytes(append(f.buf, ','), "key", e.Key)
		f.buf = append(f.buf, `,"mod_revision":`...)
		f.buf = strconv.AppendUint(f.buf, e.ModRevision, 10)
	}
	if f.prev {
		f.buf = append(f.buf, `,"prev":`...)
		if e.Prev == nil {
			f.buf = append(f.buf, "null"...)
		} else {
			f.item(e.Prev, '{')
		}
	}
	f.close(e.ModRevision, e.Last)
}

// progress appends the news that all up to revision was sent.
func (f *feed) progress(revision uint64) {
	f.open("progress", revision, true)
	f.buf = append(f.buf, `,"revision":`...)
	f.buf = strconv.AppendUint(f.buf, revision, 10)
	f.close(revision, true)
}

// reset appends the news that the history has gone past this watch.
func (f *feed) reset(oldest uint64) {
	f.open("reset", 0, false)
	f.buf = append(f.buf, `,"oldest_revision":`...)
	f.buf = strconv.AppendUint(f.buf, oldest, 10)
	f.close(0, false)
}

// open begins an event, and its JSON object.
func (f *feed) open(name string, id uint64, hasID bool) {
	if f.chunk == nil {
		f.chunk = chunks.Get().(*[]byte)
		f.buf = (*f.chunk)[:0]
	}
	if f.sse {
		if hasID {
			f.buf = append(f.buf, "id: "...)
			f.buf = strconv.AppendUint(f.buf, id, 10)
			f.buf = append(f.buf, '\n')
		}
		f.buf = append(f.buf, "event: "...)
		f.buf = append(f.buf, name...)
		f.buf = append(f.buf, "\ndata: "...)
	}
	f.buf = append(f.buf, `{"type":"`...)
	f.buf = append(f.buf, name...)
	f.buf = append(f.buf, '"')
}

// close ends the object, and the event.
func (f *feed) close(id uint64, hasID bool) {
	switch {
	case f.sse:
		f.buf = append(f.buf, "}\n\n"...)
	case hasID:
		f.buf = append(f.buf, `,"id":`...)
		f.buf = strconv.AppendUint(f.buf, id, 10)
		f.buf = append(f.buf, "}\n"...)
	default:
		f.buf = append(f.buf, "}\n"...)
	}
	f.spill()
}

// item appends an item as a listing shows it, but for first in the place of its
// opening brace. A large value stands behind the rest.
func (f *feed) item(item *kvstore.Item, first byte) {
	n := len(f.buf)
	large := len(item.Value) > largeValue
	f.buf = appendItem(f.buf, item, large)
	f.buf[n] = first
	if large {
		f.buf = f.buf[:len(f.buf)-1]
		f.value(item.Value)
		f.buf = append(f.buf, '}')
	}
}

// value appends a value in pieces.
func (f *feed) value(b []byte) {
	text := utf8.Valid(b)
	if text {
		f.buf = append(f.buf, `,"value":"`...)
	} else {
		f.buf = append(f.buf, `,"value_base64":"`...)
	}
	for len(b) > 0 && !f.failed {
		n := min(len(b), largeValue)
		if text {
			for n < len(b) && !utf8.RuneStart(b[n]) {
				n--
			}
			f.buf = appendEscaped(f.buf, b[:n])
		} else {
			f.buf = appendBase64Text(f.buf, b[:n])
		}
		b = b[n:]
		f.spill()
	}
	f.buf = append(f.buf, '"')
}

// spill writes what has gathered when that is a chunk.
func (f *feed) spill() {
	if len(f.buf) >= streamChunk {
		f.write()
	}
}

// write gives each chunk as much time as a whole answer usually has: a client
// that reads goes on, one that does not is cut off.
func (f *feed) write() {
	if len(f.buf) > 0 && !f.failed {
		f.arm()
		_, err := f.w.Write(f.buf)
		f.failed = err != nil
	}
	f.buf = f.buf[:0]
}

// flush writes all there is and sends it on its way: nothing else may come for
// long. The buffer goes back to where others find it.
func (f *feed) flush() {
	f.write()
	if !f.failed {
		f.failed = f.rc.Flush() != nil
	}
	if !f.sent {
		f.sent = true
		f.listen()
	}
	if cap(f.buf) <= kept {
		*f.chunk = f.buf
		chunks.Put(f.chunk)
	}
	f.chunk, f.buf = nil, nil
}

// listen lifts the deadline for reading: a client that only listens has nothing
// to say for hours, and net/http would take it for one that has gone. Not before
// the answer has begun, which waits for the rest of a request that has a body.
func (f *feed) listen() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.hurried {
		_ = f.rc.SetReadDeadline(time.Time{})
	}
}

// arm moves the deadline for writing. A ResponseWriter without deadlines needs
// none.
func (f *feed) arm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.hurried || now.Sub(f.armed) < rearm {
		return
	}
	f.armed = now
	_ = f.rc.SetWriteDeadline(now.Add(answerTime))
}

// hurry cuts short what a client holds up. Any goroutine may call it.
func (f *feed) hurry() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hurried = true
	if !f.ended {
		f.linger()
	}
}

// end gives the connection back: with a little time to write the end of the
// answer, and to read what a client may have sent that nobody asked for.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	f.linger()
}

// linger leaves a moment for what is under way. The caller has mu.
func (f *feed) linger() {
	until := time.Now().Add(lingerTime)
	_ = f.rc.SetReadDeadline(until)
	_ = f.rc.SetWriteDeadline(until)
}
