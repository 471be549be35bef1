package test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestIdleWatchers compares how many PUTs three members do with 10,000 watchers
// of other keys and with none, in turn. It wants the machine for itself.
func TestIdleWatchers(t *testing.T) {
	if os.Getenv("KVD_BENCH_WATCH") == "" {
		t.Skip("a benchmark: make bench-watch runs it")
	}
	const watchers, rounds = 10_000, 5
	c := startCluster(t, 3)
	leader := c.leader()
	load := func() float64 { return putRate(t, leader, 64, 6*time.Second) }
	load() // to warm up
	var without, with []float64
	for round := range rounds {
		without = append(without, load())
		stop := idleWatchers(t, c, watchers)
		with = append(with, load())
		stop()
		t.Logf("round %d: %.0f PUT/s without watchers, %.0f with %d", round+1, without[round], with[round], watchers)
	}
	ratio := median(with) / median(without)
	t.Logf("medians %.0f and %.0f PUT/s: %.3f", median(without), median(with), ratio)
	if ratio < 0.95 {
		t.Errorf("%d idle watchers leave %.3f of the PUTs, want 0.95", watchers, ratio)
	}
}

// idleWatchers opens watches of keys that nobody writes, spread over the
// members, and returns once all stand. The function that it returns closes them.
func idleWatchers(t *testing.T, c *cluster, n int) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var open, ended sync.WaitGroup
	var failed atomic.Int64
	atOnce := make(chan struct{}, 64)
	for i := range n {
		open.Add(1)
		ended.Go(func() {
			atOnce <- struct{}{}
			s, err := openWatch(ctx, c.members[i%len(c.members)], fmt.Sprintf("key=idle/%d", i))
			if err == nil {
				defer s.close()
				_, err = s.next() // the progress that a stream begins with
			}
			<-atOnce
			if err != nil {
				failed.Add(1)
			}
			open.Done()
			<-ctx.Done()
		})
	}
	open.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d watchers failed", failed.Load(), n)
	}
	return func() { cancel(); ended.Wait() }
}

// putRate has clients write for a while, and returns how many writes a second
// were answered.
func putRate(t *testing.T, m *member, clients int, lasting time.Duration) float64 {
	t.Helper()
	value := []byte(strings.Repeat("v", 128))
	var done atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for i := range clients {
		wg.Go(func() {
			for n := 0; time.Since(began) < lasting; n++ {
				r, err := send(context.Background(), http.MethodPut, fmt.Sprintf("%s/v1/kv/load/%028d", m.clientURL, (i*7919+n)%10_000), value)
				if err != nil || r.status >= 300 {
					t.Errorf("PUT: %v %v", r, err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(began).Seconds()
}

// TestFanOut has 1,000 watchers of one key, which is written 100 times a second:
// how long until each write is with each watcher.
func TestFanOut(t *testing.T) {
	watchers, seconds, limit := 100, 2, time.Second // shows that it works; the figures want the machine for themselves
	if os.Getenv("KVD_BENCH_WATCH") != "" {
		watchers, seconds, limit = 1000, 10, 50*time.Millisecond
	}
	c := startCluster(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	const rate = 100
	writes := rate * seconds
	began := time.Now()
	delays := make([][]time.Duration, watchers)
	var ready sync.WaitGroup
	for i := range watchers {
		s, err := openWatch(ctx, c.members[i%3], "key=hot")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.next(); err != nil {
			t.Fatal(err)
		}
		ready.Add(1)
		reading.Go(func() {
			defer ready.Done()
			defer s.close()
			delays[i] = s.delays(began, writes)
		})
	}
	leader := c.leader()
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for range writes {
		<-tick.C
		if err := tryPut(leader, "hot", fmt.Sprintf("@%d@", time.Since(began).Nanoseconds())); err != nil {
			t.Fatal(err)
		}
	}
	ready.Wait()
	all := slices.Concat(delays...)
	if len(all) != watchers*writes {
		t.Fatalf("%d events arrived, want %d", len(all), watchers*writes)
	}
	slices.Sort(all)
	p50, p99 := all[len(all)/2], all[len(all)*99/100]
	t.Logf("%d watchers, %d writes at %d/s: delivered p50 %v, p99 %v, max %v after the PUT was sent", watchers, writes, rate, p50, p99, all[len(all)-1])
	if p99 > limit {
		t.Errorf("p99 %v, want at most %v", p99, limit)
	}
}

// delays reads n events whose values say when they were sent. It looks for that
// alone: to read all of the JSON would load the machine more than the members do.
func (w *watchStream) delays(began time.Time, n int) []time.Duration {
	ds := make([]time.Duration, 0, n)
	for len(ds) < n && w.lines.Scan() {
		line := w.lines.Bytes()
		now := time.Since(began)
		i := bytes.IndexByte(line, '@')
		if i < 0 {
			continue
		}
		j := bytes.IndexByte(line[i+1:], '@')
		sent, err := strconv.ParseInt(string(line[i+1:i+1+j]), 10, 64)
		if err != nil {
			break
		}
		ds = append(ds, now-time.Duration(sent))
	}
	return ds
}
