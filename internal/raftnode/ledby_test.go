package raftnode

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// startLed runs one of three members, to which member 2 says all the time that it
// leads; what the member sends goes to tr. It must be called inside a synctest
// bubble, and what it returns at its end.
func startLed(t *testing.T, tr Transport) (*Node[int], func()) {
	t.Helper()
	d, err := OpenDisk(t.TempDir(), nil)
	must(t, err)
	cfg := singleConfig()
	cfg.Founders = append(cfg.Founders, Founder{ID: 1, PeerURL: "http://127.0.0.1:2"}, Founder{ID: 2, PeerURL: "http://127.0.0.1:3"})
	n, err := New(cfg, newTestMachine(), d)
	must(t, err)
	must(t, n.Open())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, tr) }()
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			n.Step([]*raftpb.Message{{
				Type: raftpb.MsgHeartbeat.Enum(), From: new(uint64(2)), To: new(testID.Member), Term: new(uint64(5)),
			}})
			time.Sleep(cfg.Tick)
		}
	})
	time.Sleep(10 * cfg.Tick)
	if leader := n.view.Load().leader; leader != 2 {
		t.Errorf("the leader is %d", leader)
	}
	return n, func() {
		cancel()
		must(t, <-done)
		wg.Wait()
		kill(d)
	}
}
