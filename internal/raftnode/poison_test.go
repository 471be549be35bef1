package raftnode

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"
)

// TestPoisonedEntries is about an entry that every member chokes on, at every
// start anew, because it is in the log. What cannot be read is passed over, by
// all members alike; what comes after it is served, also in the next life.
func TestPoisonedEntries(t *testing.T) {
	header := func(kind byte) []byte {
		return entryHeader{kind: kind, id: entryID{1, 2, 3}, clock: time.Hour}.append(nil)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		b[0] = entryVersion // a higher one is for newer members, and ends this one
		return b
	}
	poison := [][]byte{
		{0}, {entryVersion}, header(kindCommands)[:entryHeaderBytes-1],
		header(kindCommands),
		append(header(kindCommands), 5),
		append(header(kindCommands), 1, 200, 'x'),
		append(header(kindCommands), 1, 1, 'x', 'y'),
		append(header(kindCommands), bytes.Repeat([]byte{0xff}, 12)...),
		append(header(kindMember), "null and void"...),
		append(header(kindMember), `{"id":"three"}`...),
		append(header(kindMember), `{"id":999,"name":"nobody"}`...),
		noise(20), noise(entryHeaderBytes - 1),
	}
	dir := t.TempDir()
	for life := range 2 {
		d, err := OpenDisk(dir, nil)
		must(t, err)
		cfg := singleConfig()
		cfg.SnapshotEntries = 1000 // so that the second life meets them too
		sm := newTestMachine()
		n, stop := start(t, cfg, sm, d)
		ctx := within(t, time.Minute)
		must(t, n.ReadBarrier(ctx))
		for _, b := range poison {
			n.do(func(l *loop[int]) {
				if err := l.rn.Propose(b); err != nil {
					t.Errorf("propose %x: %v", b, err)
				}
			})
			if _, err := n.Propose(ctx, []byte("good")); err != nil {
				t.Fatalf("life %d, after %x: %v", life, b, err)
			}
		}
		if got, want := len(sm.log.cmds), (life+1)*len(poison); got != want {
			t.Errorf("life %d: %d commands applied, want %d", life, got, want)
		}
		must(t, stop())
		kill(d)
	}
}
