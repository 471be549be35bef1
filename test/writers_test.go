package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kvd "kvd/client"
)

// putter writes one key and returns when it knows what became of it.
type putter func(ctx context.Context, key string, value []byte) error

// writers are clients that write one key after the other and remember what was
// acknowledged. They belong to the test that started them.
type writers struct {
	t      testing.TB
	prefix string
	size   int
	every  time.Duration // between two writes of one client
	keys   int           // of each client, written over and over; 0: each key once
	done   chan struct{}
	end    func()
	wg     sync.WaitGroup

	mu     sync.Mutex
	acked  map[string]bool
	writes []write
	failed []error
}

// write is one write that was acknowledged.
type write struct{ began, ended time.Time }

func (w write) took() time.Duration { return w.ended.Sub(w.began) }

// startWriters lets each putter write values of size bytes under prefix until
// the writers are stopped, or the test ends.
func startWriters(t testing.TB, prefix string, size int, every time.Duration, puts ...putter) *writers {
	return (&writers{t: t, prefix: prefix, size: size, every: every}).start(puts...)
}

func (w *writers) start(puts ...putter) *writers {
	w.done, w.acked = make(chan struct{}), map[string]bool{}
	w.end = sync.OnceFunc(func() { close(w.done) })
	for i, put := range puts {
		w.wg.Go(func() { w.run(i, put) })
	}
	w.t.Cleanup(w.stop)
	return w
}

// valueOf is what is written under key: nobody else's value.
func (w *writers) valueOf(key string) string {
	return strings.Repeat(key+" ", w.size/(len(key)+1)+1)[:w.size]
}

func (w *writers) run(id int, put putter) {
	for n := 0; ; n++ {
		select {
		case <-w.done:
			return
		default:
		}
		key := fmt.Sprintf("%s%d-%06d", w.prefix, id, n)
		if w.keys > 0 {
			key = fmt.Sprintf("%s%d-%06d", w.prefix, id, n%w.keys)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		began := time.Now()
		err := put(ctx, key, []byte(w.valueOf(key)))
		ended := time.Now()
		cancel()
		w.mu.Lock()
		if err == nil {
			w.acked[key] = true
			w.writes = append(w.writes, write{began, ended})
		} else {
			w.failed = append(w.failed, fmt.Errorf("%s after %v: %w", key, ended.Sub(began).Round(time.Millisecond), err))
		}
		w.mu.Unlock()
		if err != nil && !pause(w.done, 20*time.Millisecond) || w.every > 0 && !pause(w.done, w.every) {
			return
		}
	}
}

// stop ends the load and waits for the writes under way.
func (w *writers) stop() {
	w.end()
	w.wg.Wait()
}

// count is the number of acknowledged writes so far.
func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.writes)
}

// waitMore waits until n more writes were acknowledged: the load goes on.
func (w *writers) waitMore(limit time.Duration, n int) {
	w.t.Helper()
	goal := w.count() + n
	waitFor(w.t, limit, "writes go on", func() error {
		if have := w.count(); have < goal {
			return fmt.Errorf("%d of %d", have, goal)
		}
		return nil
	})
}

// errs are the writes that failed so far.
func (w *writers) errs() []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.failed)
}

// between are the writes that began within a time.
func (w *writers) between(from, to time.Time) []write {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.writes), func(x write) bool { return x.began.Before(from) || x.began.After(to) })
}

// wantNoneFailed fails the test for every write that got no success.
func (w *writers) wantNoneFailed() {
	w.t.Helper()
	unknown := 0
	for i, err := range w.errs() {
		if e, ok := errors.AsType[*kvd.Error](err); !ok || e.Outcome != kvd.NotApplied {
			unknown++
		}
		if i < 10 {
			w.t.Errorf("a write failed: %v", err)
		}
	}
	if n := len(w.errs()); n > 0 {
		w.t.Errorf("%d writes failed, the outcome of %d is unknown; want none", n, unknown)
	}
}

// wantAll fails the test unless each of ms has, in its own state, everything
// that was acknowledged. It waits until they have applied what is committed.
func (w *writers) wantAll(ms ...*member) {
	w.t.Helper()
	w.stop()
	if len(w.acked) == 0 {
		w.t.Error("nothing was acknowledged")
	}
	for _, m := range ms {
		have := m.dump(w.prefix)
		missing := 0
		for key := range w.acked {
			if got, ok := have[key]; !ok || got != w.valueOf(key) {
				if missing++; missing <= 5 {
					w.t.Errorf("%s: an acknowledged write is not there: %s, found %.40q", m.name(), key, got)
				}
			}
		}
		if missing > 0 {
			w.t.Errorf("%s lacks %d of %d acknowledged writes", m.name(), missing, len(w.acked))
		}
	}
}

// dump is all that the member's own state has under prefix, once it has applied
// what was committed when this was asked.
func (m *member) dump(prefix string) map[string]string {
	m.t.Helper()
	var all map[string]string
	waitFor(m.t, 30*time.Second, m.name()+" lists "+prefix, func() error {
		// Linearizable, and answered from its own memory all the same.
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		r, err := send(ctx, http.MethodGet, m.clientURL+"/v1/kv?timeout=4s&prefix="+prefix, nil, "Accept", "application/x-ndjson")
		if err != nil {
			return err
		}
		if err := r.want(http.StatusOK); err != nil {
			return err
		}
		all = map[string]string{}
		lines := bufio.NewScanner(bytes.NewReader(r.body))
		lines.Buffer(nil, 32<<20)
		for lines.Scan() {
			var item struct {
				Key   string `json:"key"`
				Value string `json:"value"`
			}
			if err := json.Unmarshal(lines.Bytes(), &item); err != nil {
				return fmt.Errorf("%w in %.200q", err, lines.Text())
			}
			all[item.Key] = item.Value
		}
		return lines.Err()
	})
	return all
}

// goPutter writes with the Go client, which retries under an idempotency key.
func goPutter(c *kvd.Client) putter {
	return func(ctx context.Context, key string, value []byte) error {
		_, err := c.Put(ctx, key, value, nil)
		return err
	}
}

// goPutters are n of them with a client each.
func goPutters(t *testing.T, n int, ms ...*member) []putter {
	t.Helper()
	var ps []putter
	for i := range n {
		k := i % len(ms)
		ps = append(ps, goPutter(newGoClient(t, slices.Concat(ms[k:], ms[:k])...)))
	}
	return ps
}

// plainPutter does by hand what the API's errors ask for: what may be repeated
// is repeated elsewhere, under the same idempotency key.
func plainPutter(id int, ms ...*member) putter {
	ms = slices.Clone(ms)
	n := 0
	return func(ctx context.Context, key string, value []byte) error {
		n++
		idempotency := fmt.Sprintf("plain-%d-%d-%s", id, n, key)
		var last error
		for ctx.Err() == nil {
			attempt, cancel := context.WithTimeout(ctx, 3*time.Second)
			r, err := send(attempt, http.MethodPut, ms[0].clientURL+"/v1/kv/"+key+"?timeout=2s", value, "Idempotency-Key", idempotency)
			cancel()
			if err == nil {
				switch r.status {
				case http.StatusCreated, http.StatusNoContent:
					return nil
				case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
				default:
					return r.want(http.StatusCreated, http.StatusNoContent)
				}
				err = fmt.Errorf("%d %s", r.status, r.body)
			}
			last = err
			ms = append(ms[1:], ms[0])
			pause(ctx.Done(), 50*time.Millisecond)
		}
		return fmt.Errorf("%w, last %w", ctx.Err(), last)
	}
}

// percentile is the time that a share of the writes took at most.
func percentile(ws []write, share float64) time.Duration {
	if len(ws) == 0 {
		return 0
	}
	took := make([]time.Duration, len(ws))
	for i, w := range ws {
		took[i] = w.took()
	}
	slices.Sort(took)
	return took[min(int(share*float64(len(took))), len(took)-1)]
}

// longest is the longest that any of the writes took.
func longest(ws []write) time.Duration { return percentile(ws, 1) }
