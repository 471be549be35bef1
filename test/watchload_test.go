package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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
// Each is a bare connection: what an HTTP client holds for one would be work for
// the collector of the process that measures.
func idleWatchers(t *testing.T, c *cluster, n int) func() {
	t.Helper()
	conns := make([]net.Conn, n)
	var opening sync.WaitGroup
	for w := range 32 {
		opening.Go(func() {
			for i := w; i < n; i += 32 {
				conn, err := bareWatch(c.members[i%len(c.members)], fmt.Sprintf("idle/%d", i))
				if err != nil {
					t.Error(err)
					return
				}
				conns[i] = conn
			}
		})
	}
	opening.Wait()
	return func() {
		for _, conn := range conns {
			if conn != nil {
				conn.Close()
			}
		}
	}
}

// bareWatch opens a watch of a key and reads the progress that it begins with.
func bareWatch(m *member, key string) (net.Conn, error) {
	conn, err := net.Dial("tcp", m.clientAddr())
	if err != nil {
		return nil, err
	}
	if _, err = fmt.Fprintf(conn, "GET /v1/watch?key=%s HTTP/1.1\r\nHost: localhost\r\n\r\n", key); err == nil {
		_, err = countIn(conn, `"type":"progress"`, 1)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// countIn reads until a text has come n times.
func countIn(r io.Reader, text string, n int) (int, error) {
	count, rest, buf := 0, []byte(nil), make([]byte, 64<<10)
	for count < n {
		k, err := r.Read(buf)
		rest = append(rest, buf[:k]...)
		count += bytes.Count(rest, []byte(text))
		if i := bytes.LastIndex(rest, []byte(text)); i >= 0 {
			rest = rest[i+len(text):]
		}
		rest = rest[max(0, len(rest)-len(text)):]
		if err != nil {
			return count, err
		}
	}
	return count, nil
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
// how long until a write is with a watcher. A tenth of them reads at once and is
// timed. What the others get waits in their sockets and is counted in the end: a
// thousand that read at once would load the machine as much as the members do.
func TestFanOut(t *testing.T) {
	watchers, seconds, rounds, limit := 100, 2, 1, time.Second // shows that it works; the figures want the machine for themselves
	if os.Getenv("KVD_BENCH_WATCH") != "" {
		watchers, seconds, rounds, limit = 1000, 10, 5, 50*time.Millisecond
	}
	c := startCluster(t, 3)
	var p99s []float64
	for range rounds {
		p99s = append(p99s, float64(fanOut(t, c, watchers, seconds)))
	}
	if p99 := time.Duration(median(p99s)); p99 > limit {
		t.Errorf("p99 %v in the median of %d rounds, want at most %v", p99, rounds, limit)
	}
}

// fanOut is one round of TestFanOut; it returns the 99th percentile.
func fanOut(t *testing.T, c *cluster, watchers, seconds int) time.Duration {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	const rate = 100
	writes := rate * seconds
	began := time.Now()
	delays := make([][]time.Duration, watchers)
	var ready sync.WaitGroup
	others := make([]net.Conn, 0, watchers)
	defer func() {
		for _, conn := range others {
			conn.Close()
		}
	}()
	for i := range watchers {
		m := c.members[i%3]
		if i%10 != 0 {
			conn, err := bareWatch(m, "hot")
			if err != nil {
				t.Fatal(err)
			}
			others = append(others, conn)
			wakeAt(t, conn, 1<<20)
			continue
		}
		s, err := openWatch(ctx, m, "key=hot")
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
	// Writes are sent when they are due, whether the ones before are answered or not.
	leader := c.leader()
	puts := make([]time.Duration, writes)
	var writing sync.WaitGroup
	first := time.Since(began)
	for i := range writes {
		pause(ctx.Done(), first+time.Duration(i)*time.Second/rate-time.Since(began))
		sent := time.Since(began)
		writing.Go(func() {
			if err := tryPut(leader, "hot", fmt.Sprintf("@%d@", sent.Nanoseconds())); err != nil {
				t.Error(err)
			}
			puts[i] = time.Since(began) - sent
		})
	}
	took := time.Since(began) - first
	writing.Wait()
	ready.Wait()
	for i, conn := range others {
		wakeAt(t, conn, 1)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := countIn(conn, `"type":"put"`, writes); n != writes {
			t.Errorf("watcher %d got %d events, want %d: %v", i, n, writes, err)
		}
	}
	all := slices.Concat(delays...)
	if len(all) != watchers/10*writes {
		t.Fatalf("%d events arrived, want %d", len(all), watchers/10*writes)
	}
	slices.Sort(all)
	slices.Sort(puts)
	p50, p99 := all[len(all)/2], all[len(all)*99/100]
	t.Logf("%d watchers, %d writes in %.1f s: delivered p50 %v, p99 %v, max %v after the PUT was sent, which itself took p50 %v, p99 %v",
		watchers, writes, took.Seconds(), p50, p99, all[len(all)-1], puts[len(puts)/2], puts[len(puts)*99/100])
	return p99
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

// wakeAt says how much must have arrived before the system wakes who would read.
func wakeAt(t *testing.T, conn net.Conn, bytes int) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = errors.Join(raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, bytes)
		}), err)
	}
	if err != nil {
		t.Error(err)
	}
}
