package raftnode

import (
	"errors"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// tornFirstSave keeps the entries of the first save and loses the hard state
// behind them, as a power failure may.
type tornFirstSave struct {
	Storage
	torn bool
}

func (s *tornFirstSave) Save(hs *raftpb.HardState, ents []*raftpb.Entry) error {
	if s.torn || len(ents) == 0 {
		return s.Storage.Save(hs, ents)
	}
	s.torn = true
	return errors.Join(errDisk, s.Storage.Save(nil, ents))
}

// TestFoundingIsTorn is about a founding member that dies while it writes its
// first entries: with a part of them it knows no voters and no peers, and would
// wait for ever. It founds anew, with the same entries.
func TestFoundingIsTorn(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenDisk(dir, nil)
	must(t, err)
	n, stop := start(t, singleConfig(), newTestMachine(), &tornFirstSave{Storage: d})
	if err := n.ReadBarrier(within(t, 200*time.Millisecond)); !errors.Is(err, ErrStopped) && !errors.Is(err, ErrNoLeader) {
		t.Errorf("the first life: %v", err)
	}
	if err := stop(); !errors.Is(err, errDisk) {
		t.Fatalf("the first life ended with %v", err)
	}
	kill(d)
	for life := range 2 {
		d, err := OpenDisk(dir, nil)
		must(t, err)
		n, stop := start(t, singleConfig(), newTestMachine(), d)
		if _, err := n.Propose(within(t, 5*time.Second), []byte("x")); err != nil {
			t.Errorf("life %d: %v", life+2, err)
		}
		must(t, stop())
		kill(d)
	}
}
