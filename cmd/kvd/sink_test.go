package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// gatedWriter blocks while its gate is shut and keeps what passes.
type gatedWriter struct {
	gate chan struct{} // closed: open

	mu  sync.Mutex
	got bytes.Buffer
}

func (w *gatedWriter) Write(p []byte) (int, error) {
	<-w.gate
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.Write(p)
}

func (w *gatedWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.String()
}

func TestSinkWritesInOrder(t *testing.T) {
	w := &gatedWriter{gate: make(chan struct{})}
	close(w.gate)
	s := newSink(w, 1<<20, func(uint64) []byte { return []byte("lost\n") })
	var want strings.Builder
	for i := range 10_000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		if n, err := s.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if !s.close(time.Minute) {
		t.Fatal("close did not wait for the lines")
	}
	if w.String() != want.String() {
		t.Error("lines differ from what was written")
	}
	if n, err := s.Write([]byte("late\n")); n != 5 || err != nil || strings.Contains(w.String(), "late") {
		t.Errorf("Write after close = %d, %v", n, err)
	}
}

func TestBlockedSinkDropsAndCounts(t *testing.T) {
	w := &gatedWriter{gate: make(chan struct{})}
	s := newSink(w, 100, func(n uint64) []byte { return fmt.Appendf(nil, "lost %d\n", n) })
	const lines, size = 1000, 10
	for range lines {
		s.Write([]byte("123456789\n")) // returns, though nobody reads
	}
	if s.close(0) {
		t.Error("close says that a blocked writer has written")
	}
	close(w.gate)
	<-s.donec
	got := w.String()
	lost := 0
	for line := range strings.Lines(got) {
		if n := 0; strings.HasPrefix(line, "lost") {
			if _, err := fmt.Sscanf(line, "lost %d\n", &n); err != nil {
				t.Fatal(err)
			}
			lost += n
		}
	}
	// What fits is one buffer that the writer holds and one that waits.
	if kept := strings.Count(got, "123456789\n"); kept+lost != lines || kept < 100/size || kept > 2*100/size {
		t.Errorf("%d lines kept and %d counted as lost, of %d", kept, lost, lines)
	}
}

func TestLogger(t *testing.T) {
	for format, want := range map[string]string{
		"json":    `"logger":"raft","msg":"became leader","term":7}`,
		"console": `INFO raft became leader {"term": 7}`,
	} {
		var b bytes.Buffer
		lg, flush := newLogger(&b, zapcore.InfoLevel, format)
		lg.Named("raft").Debug("not shown")
		lg.Named("raft").Info("became leader", zap.Int("term", 7))
		flush()
		if got := b.String(); !strings.Contains(got, want) || strings.Contains(got, "not shown") || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: %q, want it to hold %q", format, got, want)
		}
	}
}
