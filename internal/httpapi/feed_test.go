package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"kvd/internal/kvstore"
)

// eventJSON is an event as encoding/json would have it.
type eventJSON struct {
	Type string `json:"type"`
	itemJSON
	Prev *itemJSON `json:"prev"`
	ID   uint64    `json:"id"`
}

// record is a client that keeps what it gets.
type record struct {
	wall
	body    bytes.Buffer
	flushed int
}

func (r *record) Write(b []byte) (int, error) {
	r.largest = max(r.largest, len(b))
	return r.body.Write(b)
}

func (r *record) FlushError() error { r.flushed++; return nil }

func newRecord() *record { return &record{wall: wall{sink: sink{header: make(http.Header)}}} }

// FuzzFeed: both forms say of an event what encoding/json says of the item,
// however it is cut into pieces.
func FuzzFeed(f *testing.F) {
	f.Add([]byte("k"), []byte("v"), []byte("prev"), uint16(1), true, true)
	f.Add([]byte("k\xff"), []byte("é\n\u2028"), []byte{0xff, 0}, uint16(1000), false, true)
	f.Add([]byte("k"), []byte(""), []byte("é"), uint16(largeValue-1), true, false)
	f.Add([]byte("k"), []byte("é\u2028"), []byte("\U0001f600a"), uint16(5000), true, false)
	f.Add([]byte("k"), []byte("\x00"), []byte("\u2028"), uint16(50_000), true, true)
	f.Fuzz(func(t *testing.T, key, value, prev []byte, times uint16, last, sse bool) {
		e := kvstore.Event{Type: kvstore.EventPut, Last: last, Item: kvstore.Item{Key: key, Value: bytes.Repeat(value, int(times)), ModRevision: 7, CreateRevision: 3, Version: 2}}
		if len(e.Value) > 4<<20 || len(prev)*int(times) > 4<<20 {
			return
		}
		before := kvstore.Item{Key: key, Value: bytes.Repeat(prev, int(times)), ModRevision: 3, CreateRevision: 3, Version: 1}
		e.Prev = &before
		r := newRecord()
		feed := newFeed(r, sse, true)
		feed.event(&e)
		feed.flush()
		text := r.body.String()
		if sse {
			head := "event: put\ndata: "
			if last {
				head = "id: 7\n" + head
			}
			var ok bool
			if text, ok = strings.CutPrefix(text, head); !ok || !strings.HasSuffix(text, "}\n\n") {
				t.Fatalf("got %.200q", r.body.String())
			}
			text = text[:len(text)-1]
		}
		if strings.Index(text, "\n") != len(text)-1 {
			t.Fatalf("more than one line: %.200q", text)
		}
		var got eventJSON
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%v: %.200q", err, text)
		}
		want := eventJSON{Type: "put", itemJSON: *newItemJSON(&e.Item), Prev: newItemJSON(&before)}
		if last && !sse {
			want.ID = 7
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %.300q\nwant %+v", text, want)
		}
		if r.largest > 64<<10 {
			t.Fatalf("%d bytes written at once", r.largest)
		}
	})
}

func TestFeedNeverWritesMuchAtOnce(t *testing.T) {
	for _, value := range []string{"v", "\x00", "é", "\xff"} {
		e := kvstore.Event{Type: kvstore.EventPut, Item: kvstore.Item{Key: bytes.Repeat([]byte{1}, kvstore.MaxKeyBytes), Value: bytes.Repeat([]byte(value), 1<<20), ModRevision: 1 << 60}}
		e.Prev = &e.Item
		r := newRecord()
		f := newFeed(r, false, true)
		for range 3 {
			f.event(&e)
		}
		f.flush()
		if r.largest > 2*streamChunk || r.flushed != 1 {
			t.Errorf("%q: %d bytes at once, %d flushes", value, r.largest, r.flushed)
		}
		if f.chunk != nil || f.buf != nil {
			t.Errorf("%q: holds %d bytes with nothing to write", value, cap(f.buf))
		}
	}
}

// Thousands of watchers of one key encode each event for themselves: that must
// not leave garbage.
func TestFeedDoesNotAllocate(t *testing.T) {
	w := &wall{sink: sink{header: make(http.Header)}, takes: 1 << 30}
	prev := kvstore.Item{Key: []byte("key"), Value: value128}
	e := kvstore.Event{Type: kvstore.EventPut, Item: prev, Prev: &prev, Last: true}
	for _, sse := range []bool{false, true} {
		f := newFeed(w, sse, true)
		if got := testing.AllocsPerRun(100, func() { f.event(&e); f.flush() }); got >= 1 {
			t.Errorf("%v allocations an event", got)
		}
	}
}

func BenchmarkFeed(b *testing.B) {
	for _, size := range []int{128, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := &wall{sink: sink{header: make(http.Header)}, takes: 1 << 60}
			e := kvstore.Event{Type: kvstore.EventPut, Last: true, Item: kvstore.Item{Key: []byte("0123456789abcdef0123456789abcdef"), Value: bytes.Repeat([]byte("v"), size)}}
			f := newFeed(w, true, false)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				f.event(&e)
				f.flush()
			}
		})
	}
}
