package history

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Read reads a file that a Writer wrote and closed.
func Read(name string) (*History, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	defer f.Close()
	h, err := Decode(f)
	if err != nil {
		return nil, fmt.Errorf("history %s: %w", name, err)
	}
	return h, nil
}

// Decode reads a history. One that is cut short is an error: a check of half of
// what happened would prove nothing.
func Decode(r io.Reader) (*History, error) {
	h := &History{}
	dec := json.NewDecoder(bufio.NewReaderSize(r, 1<<20))
	dec.DisallowUnknownFields()
	for n := 1; ; n++ {
		var rec Record
		if err := dec.Decode(&rec); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("record %d: %w", n, err)
		}
		if err := h.add(&rec); err != nil {
			return nil, fmt.Errorf("record %d: %w", n, err)
		}
	}
	slices.SortStableFunc(h.Ops, func(a, b *Op) int { return cmp.Compare(a.Start, b.Start) })
	return h, nil
}

func (h *History) add(r *Record) error {
	switch {
	case r.Op != nil:
		o := r.Op
		if o.End < o.Start {
			return fmt.Errorf("operation %d ends before it starts", o.ID)
		}
		if o.Outcome != OK && o.Outcome != Failed && o.Outcome != Unknown {
			return fmt.Errorf("operation %d has the outcome %q", o.ID, o.Outcome)
		}
		h.Ops = append(h.Ops, o)
	case r.Watch != nil:
		h.Watches = append(h.Watches, r.Watch)
	case r.Fault != nil:
		h.Faults = append(h.Faults, r.Fault)
	case r.Hashes != nil:
		h.Hashes = append(h.Hashes, r.Hashes)
	case r.Run != nil:
		h.Run = *r.Run
	default:
		return errors.New("it is empty")
	}
	return nil
}
