package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// change is one event of a history.
type change struct {
	rev  uint64
	kind EventType
	key  string
}

// history serves watches of what was written to it, from any member, and does
// to the streams what a test asks. It is a transport, so it works in virtual
// time.
type history struct {
	t testing.TB

	mu       sync.Mutex
	wake     chan struct{} // closed when there is news
	changes  []change
	revision uint64
	oldest   uint64
	asked    []string // since, of each request; "now": none
	cut      func(n int) (after int, how error)
	refuse   func(n int) *reply
}

func newHistory(t testing.TB) *history { return &history{t: t, wake: make(chan struct{})} }

// write adds a revision with these keys.
func (h *history) write(kind EventType, keys ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revision++
	slices.Sort(keys)
	for _, key := range keys {
		h.changes = append(h.changes, change{h.revision, kind, key})
	}
	close(h.wake)
	h.wake = make(chan struct{})
}

// frames are those of all revisions above since, and the newest revision.
func (h *history) frames(since uint64) (string, uint64, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	for i, c := range h.changes {
		if c.rev <= since {
			continue
		}
		if i+1 == len(h.changes) || h.changes[i+1].rev != c.rev {
			fmt.Fprintf(&b, "id: %d\n", c.rev)
		}
		fmt.Fprintf(&b, "event: %s\ndata: {\"type\":%q,\"key\":%q,\"mod_revision\":%d", c.kind, c.kind, c.key, c.rev)
		if c.kind == EventPut {
			fmt.Fprintf(&b, `,"value":"v%d","create_revision":%d,"version":1,"content_type":"text/plain"`, c.rev, c.rev)
		}
		b.WriteString("}\n\n")
	}
	return b.String(), h.revision, h.wake
}

func progressFrame(rev uint64) string {
	return fmt.Sprintf("id: %d\nevent: progress\ndata: {\"type\":\"progress\",\"revision\":%d}\n\n", rev, rev)
}

func (h *history) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	n, since, oldest := len(h.asked), h.revision, h.oldest
	asked := "now"
	if q := r.URL.Query(); q.Has("since") {
		asked = q.Get("since")
		since, _ = strconv.ParseUint(asked, 10, 64)
	}
	h.asked = append(h.asked, asked)
	h.mu.Unlock()

	answer := func(p reply) (*http.Response, error) {
		return &http.Response{StatusCode: p.status, Header: p.header, Body: io.NopCloser(strings.NewReader(p.body)), Request: r}, p.err
	}
	if h.refuse != nil {
		if p := h.refuse(n); p != nil {
			if p.err != nil {
				return nil, p.err
			}
			return answer(*p)
		}
	}
	if since < oldest {
		p := problemReply(410, "compacted", "")
		p.body = strings.Replace(p.body, "{", fmt.Sprintf(`{"oldest_revision":%d,`, oldest), 1)
		return answer(p)
	}
	left, how := -1, error(nil)
	if h.cut != nil {
		left, how = h.cut(n)
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Request: r,
		Body: &historyBody{h: h, ctx: r.Context(), since: since, pending: []byte(progressFrame(since)), left: left, how: how}}, nil
}

// historyBody is the stream of one watch.
type historyBody struct {
	h       *history
	ctx     context.Context
	since   uint64
	pending []byte
	left    int   // bytes until the cut; negative: there is none
	how     error // nil: silence
}

func (b *historyBody) Read(p []byte) (int, error) {
	for {
		if b.left == 0 {
			if b.how != nil {
				return 0, b.how
			}
			<-b.ctx.Done()
			return 0, context.Cause(b.ctx)
		}
		if len(b.pending) > 0 {
			n := len(p)
			if b.left > 0 {
				n = min(n, b.left)
			}
			n = copy(p[:n], b.pending)
			b.pending = b.pending[n:]
			if b.left > 0 {
				b.left -= n
			}
			return n, nil
		}
		text, rev, wake := b.h.frames(b.since)
		if text != "" {
			b.pending, b.since = []byte(text), rev
			continue
		}
		select {
		case <-wake:
		case <-time.After(15 * time.Second):
			b.pending = []byte(progressFrame(b.since))
		case <-b.ctx.Done():
			return 0, context.Cause(b.ctx)
		}
	}
}

func (b *historyBody) Close() error { return nil }

func (h *history) client(cfg Config) *Client {
	cfg.Endpoints = []string{"http://a", "http://b", "http://c"}
	cfg.HTTPClient = &http.Client{Transport: h}
	c, err := New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// Whatever is cut wherever: each event comes once, in order.
func TestWatchResumes(t *testing.T) {
	const seeds = 80
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			h := newHistory(t)
			h.cut = func(int) (int, error) {
				return rnd.IntN(900), []error{io.EOF, io.ErrUnexpectedEOF, errors.New("connection reset"), nil}[rnd.IntN(4)]
			}
			h.refuse = func(int) *reply {
				switch rnd.IntN(8) {
				case 0:
					return new(problemReply(503, "stopping", ""))
				case 1:
					return &reply{err: errors.New("connection refused")}
				case 2:
					return new(problemReply(429, "overloaded", "").after(1))
				}
				return nil
			}
			write := func(rnd *rand.Rand) {
				var keys []string
				for range 1 + rnd.IntN(5) {
					keys = append(keys, fmt.Sprintf("k%d%d", rnd.IntN(100), len(keys)))
				}
				h.write([]EventType{EventPut, EventDelete, EventExpire}[rnd.IntN(3)], keys...)
			}
			for range 20 {
				write(rnd)
			}
			since := uint64(rnd.IntN(21))
			w, err := h.client(Config{Timeout: 5 * time.Minute}).Watch(t.Context(), &WatchOptions{Since: since, All: true})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			defer w.Close()
			writer := rand.New(rand.NewPCG(seed, 2))
			go func() {
				for range 20 {
					time.Sleep(time.Duration(writer.IntN(20)) * time.Second)
					write(writer)
				}
			}()
			var got []change
			for len(got) == 0 || got[len(got)-1].rev < 40 || w.Revision() < 40 {
				ev, err := w.Next()
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				got = append(got, change{ev.Revision, ev.Type, ev.Item.Key})
				if want := ev.Revision; ev.Last && w.Revision() != want || !ev.Last && w.Revision() >= want {
					t.Errorf("seed %d: revision %d after %+v", seed, w.Revision(), ev)
				}
			}
			want := slices.DeleteFunc(slices.Clone(h.changes), func(c change) bool { return c.rev <= since })
			if !slices.Equal(got, want) {
				t.Errorf("seed %d, since %d: streams from %v\ngot  %v\nwant %v", seed, since, h.asked, got, want)
			}
		})
	}
}

// A watch from now misses nothing that is written once it has begun, even if
// its first stream brings no more than where it stands.
func TestWatchFromNow(t *testing.T) {
	for _, left := range []int{len(progressFrame(3)), len(progressFrame(3)) + 7} {
		synctest.Test(t, func(t *testing.T) {
			h := newHistory(t)
			for range 3 {
				h.write(EventPut, "old")
			}
			h.cut = func(n int) (int, error) {
				if n == 0 {
					return left, io.ErrUnexpectedEOF
				}
				return -1, nil
			}
			w, err := h.client(Config{}).Watch(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			h.write(EventPut, "x", "y")
			for _, key := range []string{"x", "y"} {
				ev, err := w.Next()
				if err != nil || ev.Item.Key != key || ev.Revision != 4 || ev.Last != (key == "y") {
					t.Errorf("got %+v, %v, want %s", ev, err, key)
				}
			}
			if !slices.Equal(h.asked, []string{"now", "3"}) {
				t.Errorf("asked since %v", h.asked)
			}
		})
	}
}

// A watch from now whose first frame is half a revision goes on from before it.
func TestWatchFromNowWithoutProgress(t *testing.T) {
	event := func(id, key string) string {
		return id + "event: delete\ndata: {\"type\":\"delete\",\"key\":\"" + key + "\",\"mod_revision\":9}\n\n"
	}
	stream := http.Header{"Content-Type": {"text/event-stream"}}
	synctest.Test(t, func(t *testing.T) {
		c, s := newScript(t, Config{},
			reply{status: 200, header: stream, body: ": hello\n\n" + event("", "a"), cutBody: true},
			reply{status: 200, header: stream, body: progressFrame(8) + event("", "a") + event("id: 9\n", "b"), cutBody: true},
			problemReply(403, "forbidden", ""))
		w, err := c.Watch(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for ev, err := range w.Events() {
			if err != nil {
				if !errors.Is(err, ErrForbidden) {
					t.Errorf("ended by %v", err)
				}
				break
			}
			got = append(got, ev.Item.Key)
		}
		if !slices.Equal(got, []string{"a", "b"}) || w.Revision() != 9 {
			t.Errorf("got %q, revision %d", got, w.Revision())
		}
		for i, want := range []string{"", "since=8&", "since=9&"} {
			if s.sent[i].query != want+"timeout=5.25s" {
				t.Errorf("request %d: %s", i, s.sent[i].query)
			}
		}
	})
}

// Where the history is gone, the watch says so and ends.
func TestWatchCompacted(t *testing.T) {
	check := func(t *testing.T, err error, since, oldest uint64) {
		t.Helper()
		var gone *CompactedError
		if !errors.As(err, &gone) || gone.Since != since || gone.Oldest != oldest || !errors.Is(err, ErrCompacted) {
			t.Errorf("got %v, want since %d, oldest %d", err, since, oldest)
		}
	}
	t.Run("at the start", func(t *testing.T) {
		h := newHistory(t)
		h.oldest = 7
		_, err := h.client(Config{}).Watch(t.Context(), &WatchOptions{Since: 3})
		check(t, err, 3, 7)
	})
	t.Run("after a cut", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHistory(t)
			h.write(EventPut, "a")
			h.cut = func(int) (int, error) { return len(progressFrame(1)), io.EOF }
			w, err := h.client(Config{}).Watch(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			h.mu.Lock()
			h.oldest = 2
			h.mu.Unlock()
			for range 2 { // an end is the end
				_, err = w.Next()
				check(t, err, 1, 2)
			}
		})
	})
	reset := func(oldest string) string { return "event: reset\ndata: {\"type\":\"reset\"" + oldest + "}\n\n" }
	stream := http.Header{"Content-Type": {"text/event-stream"}}
	t.Run("by a reset", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for text, oldest := range map[string]uint64{`,"oldest_revision":9`: 9, ``: 0} {
				c, _ := newScript(t, Config{}, reply{status: 200, header: stream, body: progressFrame(3) + reset(text)})
				w, err := c.Watch(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				_, err = w.Next()
				check(t, err, 3, oldest)
			}
		})
	})
	t.Run("by a reset that leaves what is needed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, s := newScript(t, Config{},
				reply{status: 200, header: stream, body: progressFrame(3) + reset(`,"oldest_revision":2`)},
				problemReply(403, "forbidden", ""))
			w, err := c.Watch(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Next(); !errors.Is(err, ErrForbidden) || len(s.sent) != 2 {
				t.Errorf("got %v after %d requests", err, len(s.sent))
			}
		})
	})
}

// Progress comes where it is asked for.
func TestWatchProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t)
		h.write(EventPut, "a")
		w, err := h.client(Config{}).Watch(t.Context(), &WatchOptions{Progress: true})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for i := range 3 {
			ev, err := w.Next()
			if err != nil || ev.Type != EventProgress || ev.Revision != 1 || !ev.Last {
				t.Errorf("%d: %+v, %v", i, ev, err)
			}
		}
	})
}

// A watch ends with its context, by Close, and when it has had no member for
// too long; silence is an outage too.
func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t)
		ctx, cancel := context.WithCancel(t.Context())
		w, err := h.client(Config{}).Watch(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Hour, cancel)
		begun := time.Now()
		if _, err := w.Next(); !errors.Is(err, context.Canceled) || time.Since(begun) != time.Hour {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t)
		h.cut = func(int) (int, error) { return len(progressFrame(0)), nil }
		h.refuse = func(n int) *reply {
			if n > 0 {
				return &reply{err: errors.New("connection refused")}
			}
			return nil
		}
		w, err := h.client(Config{}).Watch(t.Context(), &WatchOptions{MaxOutage: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		_, err = w.Next()
		if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took < 60*time.Second || took > watchPatience+60*time.Second {
			t.Errorf("got %v after %v", err, took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t)
		w, err := h.client(Config{}).Watch(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		w.Close()
		if _, err := w.Next(); err == nil {
			t.Error("a closed watch goes on")
		}
	})
	// A watch that nobody answers is no watch.
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t)
		h.refuse = func(int) *reply { return &reply{err: errors.New("connection refused")} }
		begun := time.Now()
		_, err := h.client(Config{Timeout: 10 * time.Second}).Watch(t.Context(), nil)
		if took := time.Since(begun); err == nil || took < 8*time.Second || took > 10*time.Second {
			t.Errorf("got %v after %v", err, took)
		}
	})
}

// A reader may take its time: silence is counted only while it listens.
func TestWatchSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHistory(t)
		w, err := h.client(Config{}).Watch(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		for i := range 3 {
			time.Sleep(10 * time.Minute)
			h.write(EventPut, fmt.Sprint(i))
			if ev, err := w.Next(); err != nil || ev.Item.Key != fmt.Sprint(i) {
				t.Errorf("got %+v, %v", ev, err)
			}
		}
		if len(h.asked) != 1 {
			t.Errorf("%d streams", len(h.asked))
		}
	})
}

// The revision of a watch is the last that was whole, and what a member repeats
// against its word is not passed on.
func TestWatchRepeats(t *testing.T) {
	event := func(id, key string, rev int) string {
		return fmt.Sprintf("%sevent: put\ndata: {\"type\":\"put\",\"key\":%q,\"mod_revision\":%d}\n\n", id, key, rev)
	}
	stream := http.Header{"Content-Type": {"text/event-stream"}}
	for _, tt := range []struct {
		name    string
		streams []string
		want    string
		since   uint64
		err     error
	}{
		{"older ones", []string{progressFrame(3) + event("id: 5\n", "a", 5) + event("id: 4\n", "b", 4) + event("id: 5\n", "a", 5) + progressFrame(2) + event("id: 6\n", "c", 6)}, "ac", 6, ErrForbidden},
		{"no id where one belongs", []string{progressFrame(3) + event("", "a", 4) + event("", "b", 5)}, "ab", 4, ErrForbidden},
		{"another key", []string{progressFrame(3) + event("", "a", 4), event("", "b", 4)}, "a", 3, ErrBadAnswer},
		{"fewer", []string{progressFrame(3) + event("", "a", 4) + event("", "b", 4), event("", "a", 4) + event("id: 5\n", "a", 5)}, "ab", 3, ErrBadAnswer},
		{"none, by progress", []string{progressFrame(3) + event("", "a", 4), progressFrame(4)}, "a", 3, ErrBadAnswer},
		{"the rest", []string{progressFrame(3) + event("", "a", 4) + event("", "b", 4), progressFrame(3) + event("", "a", 4), event("", "a", 4) + event("", "b", 4) + event("id: 4\n", "c", 4)}, "abc", 4, ErrForbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var replies []reply
				for _, s := range tt.streams {
					replies = append(replies, reply{status: 200, header: stream, body: s, cutBody: true})
				}
				c, _ := newScript(t, Config{}, append(replies, problemReply(403, "forbidden", ""))...)
				w, err := c.Watch(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				got := ""
				for ev, err := range w.Events() {
					if err != nil && !errors.Is(err, tt.err) {
						t.Errorf("ended by %v, want %v", err, tt.err)
					}
					got += ev.Item.Key
				}
				if got != tt.want || w.Revision() != tt.since {
					t.Errorf("got %q at revision %d, want %q at %d", got, w.Revision(), tt.want, tt.since)
				}
			})
		})
	}
}

// Answers that are no watch end it.
func TestWatchBadAnswers(t *testing.T) {
	stream := http.Header{"Content-Type": {"text/event-stream"}}
	for name, r := range map[string]reply{
		"a page":         {status: 200, header: http.Header{"Content-Type": {"text/html"}}, body: "<html>"},
		"bad JSON":       {status: 200, header: stream, body: "id: 1\nevent: put\ndata: {\n\n"},
		"no key":         {status: 200, header: stream, body: "id: 1\nevent: put\ndata: {\"mod_revision\":1}\n\n"},
		"bad id":         {status: 200, header: stream, body: "id: x\nevent: put\ndata: {}\n\n"},
		"another's id":   {status: 200, header: stream, body: "id: 2\nevent: put\ndata: {\"key\":\"a\",\"mod_revision\":1}\n\n"},
		"endless line":   {status: 200, header: stream, body: "data: " + strings.Repeat("x", 2000)},
		"endless events": {status: 200, header: stream, body: strings.Repeat("data: "+strings.Repeat("x", 500)+"\n", 5)},
	} {
		t.Run(name, func(t *testing.T) {
			c, s := newScript(t, Config{MaxAnswerBytes: 1000}, r)
			_, err := c.Watch(t.Context(), nil)
			if !errors.Is(err, ErrBadAnswer) && !errors.Is(err, ErrTooLarge) || len(s.sent) != 1 {
				t.Errorf("got %v after %d requests", err, len(s.sent))
			}
		})
	}
}

// However a stream is cut into reads, the frames are the same; half a frame is
// none.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(progressFrame(3)+": comment\n\nid: 4\nevent: put\ndata: {\"key\":\"a\",\n"+"data: \"mod_revision\":4}\n\n"), uint8(1))
	f.Add([]byte("event: reset\r\ndata: {}\r\n\r\n"), uint8(3))
	f.Add([]byte("data\n\ndata:x\n\n:\nid\n"), uint8(2))
	f.Add([]byte("event: put\ndata: {\"key_base64\":\"/w==\",\"mod_revision\":1}\n\n"), uint8(7))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		const limit = 1 << 16
		all := func(r io.Reader) (list []string, err error) {
			fr := newFrames(r, limit)
			for {
				one, err := fr.next()
				if err != nil {
					return list, err
				}
				list = append(list, fmt.Sprintf("%q %q %q", one.id, one.event, one.data))
				m, ok, err := parseMessage(one)
				if ok && (err != nil || m.Type != eventReset && m.Type != EventProgress && (m.Item.Key == "" || m.Revision == 0)) {
					t.Errorf("%q: %+v, %v", one.data, m, err)
				}
			}
		}
		whole, err := all(bytes.NewReader(stream))
		pieces, err2 := all(&stepReader{stream, int(step%16) + 1})
		if !slices.Equal(whole, pieces) || (err == io.EOF) != (err2 == io.EOF) {
			t.Errorf("whole: %q, %v\npieces: %q, %v", whole, err, pieces, err2)
		}
		// A frame more is a frame more, wherever the stream is whole.
		if err == io.EOF {
			more, _ := all(io.MultiReader(bytes.NewReader(stream), strings.NewReader(progressFrame(1))))
			if len(more) != len(whole)+1 {
				t.Errorf("%d frames, then %d", len(whole), len(more))
			}
		}
	})
}

// stepReader gives a few bytes at a time.
type stepReader struct {
	b []byte
	n int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.n)], r.b)
	r.b = r.b[n:]
	return n, nil
}

// What is read of a line is what a line said, or an error.
func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"key":"a","value":"x","mod_revision":40,"create_revision":7,"version":3,"content_type":"text/plain"}`))
	f.Add([]byte(`{"key_base64":"/w==","value_base64":"AA==","lease":"00000000000000ff","ttl":"30s"}`))
	f.Add([]byte(`{"prefix":"app/"}`))
	f.Add([]byte(`{"prefix_base64":"/w=="}`))
	f.Add([]byte(`{"key":null}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parseEntry(line)
		switch {
		case err != nil && !errors.Is(err, ErrBadAnswer):
			t.Errorf("%q: %v", line, err)
		case err == nil && (!json.Valid(line) || e.Key == "" && e.Prefix == ""):
			t.Errorf("%q: %+v", line, e)
		}
	})
}
