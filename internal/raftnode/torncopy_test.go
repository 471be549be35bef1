package raftnode

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestTornCopies: of the torn ends that repairs have cut off, the newest alone is
// kept. Each copy is as large as its segment, and one for each power failure would
// fill the disk.
func TestTornCopies(t *testing.T) {
	dir := t.TempDir()
	d, _ := openLoaded(t, dir)
	var torn []string
	for i := uint64(0); i < 4; i++ {
		first := 1 + 1000*i
		must(t, d.Save(hardState(1, 0), entries(1, first, first+998))) // some segments
		mark, err := os.ReadFile(d.path("watermark"))
		must(t, err)
		must(t, d.Save(hardState(1, 0), entries(1, first+999, first+999)))
		kill(d)
		// As if the power had failed before the last save was synced.
		must(t, os.WriteFile(d.path("watermark"), mark, 0o600))
		last := lastSegment(t, dir)
		must(t, os.Truncate(last, end(t, last)[0]-9))
		torn = append(torn, last+tornCopySuffix)
		d, _ = openLoaded(t, dir)
		must(t, d.Save(hardState(1, 0), entries(1, first+999, first+999)))
		kept, err := filepath.Glob(d.path("wal/*" + tornCopySuffix))
		must(t, err)
		if !slices.Equal(kept, torn[i:]) {
			t.Fatalf("%v are kept, want %v", kept, torn[i:])
		}
	}
	if slices.Sort(torn); len(slices.Compact(torn)) < 4 {
		t.Errorf("torn were %v: not four segments", torn)
	}
}
