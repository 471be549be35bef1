package raftnode

import "testing"

// TestWatermarkIsNeverAhead is about a process that dies between the two writes
// of a save, that of the log and that of the watermark. In whichever order they
// come, a watermark that promises what the log does not hold makes the next
// start refuse a directory that has lost nothing.
func TestWatermarkIsNeverAhead(t *testing.T) {
	for _, tt := range []struct {
		name string
		fail func(d *Disk) error // makes one of the two writes fail
		save func(d *Disk) error
	}{
		{"the log cannot be written", func(d *Disk) error { return d.wal.Close() },
			func(d *Disk) error { return d.Save(hardState(1, 5), entries(1, 51, 60)) }},
		{"the watermark cannot be written", func(d *Disk) error { return d.mark.f.Close() },
			func(d *Disk) error { return d.Save(hardState(1, 5), entries(1, 51, 60)) }},
		{"nor where entries are replaced", func(d *Disk) error { return d.mark.f.Close() },
			func(d *Disk) error { return d.Save(hardState(2, 5), entries(2, 10, 12)) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			d, _ := openLoaded(t, dir)
			must(t, d.Save(hardState(1, 5), entries(1, 1, 50)), tt.fail(d))
			if err := tt.save(d); err == nil {
				t.Fatal("the save did not fail")
			}
			kill(d)
			d, err := OpenDisk(dir, nil)
			if err != nil {
				t.Fatalf("refused: %v", err)
			}
			kill(d)
			if _, rec := openLoaded(t, dir); len(rec.Entries) < 50 {
				t.Errorf("%d entries are left", len(rec.Entries))
			}
		})
	}
}
