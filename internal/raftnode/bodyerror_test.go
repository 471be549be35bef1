package raftnode

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// endlessMachine has a state that is never written to its end.
type endlessMachine struct {
	testMachine
	begun chan struct{} // receives one token when the writing begins
}

func (m endlessMachine) Snapshot() (io.WriterTo, error) { return m, nil }

func (m endlessMachine) WriteTo(w io.Writer) (n int64, err error) {
	m.begun <- struct{}{}
	for piece := make([]byte, 64<<10); err == nil; n += int64(len(piece)) {
		_, err = w.Write(piece)
	}
	return n, err
}

// faultyStorage fails when it is told to.
type faultyStorage struct {
	*Disk
	log, bodies atomic.Bool
}

func (f *faultyStorage) Save(hs *raftpb.HardState, ents []*raftpb.Entry) error {
	if f.log.Load() {
		return errDisk
	}
	return f.Disk.Save(hs, ents)
}

func (f *faultyStorage) WriteBody(index uint64, r io.Reader) error {
	if f.bodies.Load() {
		return errDisk
	}
	return f.Disk.WriteBody(index, r)
}

// TestStopWhileASnapshotIsWritten: a member that is stopped, or has lost its log,
// ends at once, however large the snapshot is that it writes.
func TestStopWhileASnapshotIsWritten(t *testing.T) {
	for name, stop := range map[string]func(cancel func(), st *faultyStorage, n *Node[int]) error{
		"stop": func(cancel func(), _ *faultyStorage, _ *Node[int]) error { cancel(); return nil },
		"lost log": func(_ func(), st *faultyStorage, n *Node[int]) error {
			st.log.Store(true)
			_, _ = n.Propose(within(t, 10*time.Second), []byte("x"))
			return errDisk
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := OpenDisk(t.TempDir(), nil)
			must(t, err)
			st := &faultyStorage{Disk: d}
			sm := endlessMachine{newTestMachine(), make(chan struct{}, 1)}
			n, err := New(singleConfig(), sm, st)
			must(t, err)
			must(t, n.Open())
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- n.Run(ctx, deafTransport{}) }()
			must(t, n.ReadBarrier(within(t, 10*time.Second)))
			go func() { _, _ = n.TakeSnapshot(ctx) }()
			<-sm.begun
			begin := time.Now()
			want := stop(cancel, st, n)
			select {
			case err := <-done:
				if !errors.Is(err, want) {
					t.Errorf("ended with %v, want %v", err, want)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("the member still runs")
			}
			if n.Diverged() != nil {
				t.Errorf("a snapshot that was given up says that the state is wrong: %v", n.Diverged())
			}
			t.Logf("took %v", time.Since(begin))
			kill(d)
		})
	}
}

// TestBodyErrors: a disk that fails to store a state, for another member or from
// one, ends the member. A state that does not come whole does not.
func TestBodyErrors(t *testing.T) {
	receive := func(body io.Reader) func(n *Node[int]) error {
		return func(n *Node[int]) error {
			meta := &raftpb.SnapshotMetadata{Index: new(uint64(1000)), Term: new(uint64(1))}
			return n.ReceiveSnapshot(context.Background(), &raftpb.Message{
				Type: raftpb.MsgSnap.Enum(), From: new(uint64(2)), To: new(testID.Member), Snapshot: &raftpb.Snapshot{Metadata: meta},
			}, body)
		}
	}
	for _, c := range []struct {
		name  string
		fails bool // the disk
		do    func(n *Node[int]) error
		ends  bool
	}{
		{"receive", true, receive(bytes.NewReader(nil)), true},
		{"a body that is cut", false, receive(bytes.NewReader(make([]byte, 100))), false},
		{"give", true, func(n *Node[int]) error {
			return n.reseedAsLeader(within(t, 10*time.Second), testID.Member, reseedRequest{Boot: n.boot})
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := OpenDisk(t.TempDir(), nil)
			must(t, err)
			defer kill(d)
			st := &faultyStorage{Disk: d}
			n, err := New(singleConfig(), newTestMachine(), st)
			must(t, err)
			must(t, n.Open())
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- n.Run(ctx, deafTransport{}) }()
			must(t, n.ReadBarrier(within(t, 10*time.Second)))
			st.bodies.Store(c.fails)
			err = c.do(n)
			if !c.ends {
				if err == nil {
					t.Error("no error")
				}
				must(t, n.ReadBarrier(within(t, 10*time.Second)))
				cancel()
				must(t, <-done)
				return
			}
			select {
			case err := <-done:
				if !errors.Is(err, errDisk) {
					t.Errorf("ended with %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Error("the member goes on with a disk that fails")
				cancel()
				<-done
			}
		})
	}
}
