package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Writer writes a history. Its methods may be called by any number of
// goroutines.
type Writer struct {
	began  time.Time
	nextID atomic.Int64

	mu  sync.Mutex
	f   *os.File
	buf *bufio.Writer
	enc *json.Encoder
	err error // the first that there was; nothing is written after it
}

// Create makes the file, which must not exist, and begins the run's clock.
func Create(name string) (*Writer, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	buf := bufio.NewWriterSize(f, 1<<20)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	return &Writer{began: time.Now(), f: f, buf: buf, enc: enc}, nil
}

// Now is the time in the run.
func (w *Writer) Now() int64 { return int64(time.Since(w.began)) }

// At is t in the run; t must have a monotonic reading, as those of time.Now do.
func (w *Writer) At(t time.Time) int64 { return int64(t.Sub(w.began)) }

// NextID is the id of one operation.
func (w *Writer) NextID() int64 { return w.nextID.Add(1) }

// Add writes one record. An error is told by Close too, so that it need not be
// looked at each time.
func (w *Writer) Add(r Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		if err := w.enc.Encode(r); err != nil {
			w.err = fmt.Errorf("history: %w", err)
		}
	}
	return w.err
}

// Op writes an operation that is over.
func (w *Writer) Op(o *Op) error { return w.Add(Record{Op: o}) }

// Watch writes what a watcher received.
func (w *Writer) Watch(x *Watch) error { return w.Add(Record{Watch: x}) }

// Fault writes a fault that is healed.
func (w *Writer) Fault(f *Fault) error { return w.Add(Record{Fault: f}) }

// Close writes what is left. It returns the first error that there was, and may
// be called twice.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f == nil {
		return w.err
	}
	if err := w.buf.Flush(); err != nil && w.err == nil {
		w.err = fmt.Errorf("history: %w", err)
	}
	if err := w.f.Close(); err != nil && w.err == nil {
		w.err = fmt.Errorf("history: %w", err)
	}
	w.f = nil
	return w.err
}
