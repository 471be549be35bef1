package raftnode

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWatermarkFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watermark")
	read := func(wantState markState, want mark) *watermark {
		t.Helper()
		w, err := readWatermark(path)
		must(t, err)
		if w.state != wantState || w.mark != want {
			t.Errorf("read %v %+v, want %v %+v", w.state, w.mark, wantState, want)
		}
		t.Cleanup(func() { must(t, w.close()) })
		return w
	}
	w := read(markMissing, mark{})
	must(t, w.create())
	w = read(markWhole, mark{})
	full := mark{index: 7, indexTerm: 2, term: 3, vote: 1}
	must(t, w.raise(full))
	w = read(markWhole, full)
	must(t, w.lower(8))
	read(markWhole, full)
	must(t, w.lower(7)) // something else comes to index 7
	read(markWhole, mark{index: 7, term: 3, vote: 1})
	must(t, w.lower(4))
	w = read(markWhole, mark{index: 4, term: 3, vote: 1})

	// Nothing is written when nothing has changed.
	must(t, os.Remove(path))
	must(t, w.raise(mark{index: 4, term: 3, vote: 1}))
	w = read(markMissing, mark{})
	must(t, w.raise(full))
	read(markWhole, full)

	// Longer than it should be, and torn, at every byte.
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, append(b, 0), 0o600))
	read(markDamaged, mark{})
	for n := range b {
		must(t, os.WriteFile(path, b[:n], 0o600))
		w = read(markDamaged, mark{})
	}
	must(t, w.raise(full))
	read(markWhole, full)
}
