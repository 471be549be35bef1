package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMillionKeys measures a member with 1,000,000 keys of 32 bytes and values of
// 128: memory, a listing of all, one page, the snapshot and a restart. It wants
// the machine for itself.
func TestMillionKeys(t *testing.T) {
	if os.Getenv("KVD_BENCH_KEYS") == "" {
		t.Skip("a benchmark: make bench-keys runs it")
	}
	keys := int(envNumber(t, "KVD_BENCH_KEYS_COUNT", 1_000_000))
	c := startCluster(t, 1)
	m := c.members[0]
	empty := resident(t, m.process())

	began := time.Now()
	fillByTxn(t, m, keys)
	t.Logf("%d keys written in %.1f s, 64 in a transaction", keys, time.Since(began).Seconds())

	// The history of a store that was only filled is empty, and what else the
	// fill has left is the collector's.
	waitFor(t, 90*time.Second, "memory to settle", func() func() error {
		last := int64(0)
		return func() error {
			<-time.After(2 * time.Second)
			now := resident(t, m.process())
			defer func() { last = now }()
			if last == 0 || now < last*98/100 {
				return fmt.Errorf("%d MB", now/1e6)
			}
			return nil
		}
	}())
	full := resident(t, m.process())
	t.Logf("resident: %d MB empty, %d MB with the keys: %d bytes a key beyond their 160", empty/1e6, full/1e6, (full-empty)/int64(keys)-160)

	for range 3 {
		began = time.Now()
		n, bytes := drain(t, m, "/v1/kv", "Accept", "application/x-ndjson")
		t.Logf("all of them as NDJSON: %d lines, %d MB in %.2f s; resident %d MB, peak %d MB", n, bytes/1e6, time.Since(began).Seconds(), resident(t, m.process())/1e6, peak(t, m)/1e6)
		if n != keys {
			t.Errorf("%d lines, want %d", n, keys)
		}
	}
	const pages = 1000
	began = time.Now()
	for i := range pages {
		r := m.call(http.MethodGet, fmt.Sprintf("/v1/kv?prefix=key/%024d", i*keys/pages/100), nil)
		if r.status != 200 || !bytes.Contains(r.body, []byte(`"count":100,`)) {
			t.Fatalf("page: %d %.200s", r.status, r.body)
		}
	}
	t.Logf("one prefix page of 100: %.3f ms", time.Since(began).Seconds()*1000/pages)

	// The log is as long as it may be between two snapshots; then another is due.
	before := m.mustStatus().SnapshotIndex
	waitFor(t, time.Minute, "a snapshot", func() error {
		putAll(t, m, 1000, strings.Repeat("x", 8<<10))
		if m.mustStatus().SnapshotIndex == before {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	for _, line := range regexp.MustCompile(`snapshot taken.*`).FindAllString(m.process().output(), -1) {
		t.Log(line)
	}
	for range 3 {
		if code := m.term(); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		began = time.Now()
		m.start()
		waitRead(t, m, keys)
		t.Logf("restart to the first linearizable read: %.2f s, resident %d MB", time.Since(began).Seconds(), resident(t, m.process())/1e6)
	}
}

// fillByTxn writes keys in transactions, several at a time.
func fillByTxn(t *testing.T, m *member, keys int) {
	t.Helper()
	const each = 64
	value := strings.Repeat("v", 128)
	var wg sync.WaitGroup
	for part := range 16 {
		wg.Go(func() {
			for i := part * each; i < keys; i += 16 * each {
				var b strings.Builder
				b.WriteString(`{"then":[`)
				for j := i; j < min(i+each, keys); j++ {
					if j > i {
						b.WriteByte(',')
					}
					fmt.Fprintf(&b, `{"put":{"key":"key/%024d%04d","value":%q}}`, j/100, j%100, value)
				}
				b.WriteString(`]}`)
				r, err := post(m, "/v1/txn", b.String())
				if err != nil || r.status != 200 {
					t.Errorf("transaction: %v %v", r, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// drain reads an answer and keeps nothing of it.
func drain(t *testing.T, m *member, path string, header ...string) (lines int, size int64) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.clientURL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(header[0], header[1])
	res, err := httpClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	buf := make([]byte, 256<<10)
	for {
		n, err := res.Body.Read(buf)
		lines += bytes.Count(buf[:n], []byte{'\n'})
		size += int64(n)
		if err == io.EOF {
			return lines, size
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// waitRead waits until the member answers a linearizable read of the last key.
func waitRead(t *testing.T, m *member, keys int) {
	t.Helper()
	last := keys - 1
	path := fmt.Sprintf("/v1/kv/key/%024d%04d", last/100, last%100)
	waitFor(t, time.Minute, "the first read", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r, err := send(ctx, http.MethodGet, m.clientURL+path, nil)
		if err != nil {
			return err
		}
		return r.want(http.StatusOK)
	})
}

// resident is the memory that a process has now.
func resident(t *testing.T, p *process) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("this system does not tell: %v", err)
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

func peak(t *testing.T, m *member) int64 {
	t.Helper()
	n, _ := peakMemory(m.process())
	return n
}
