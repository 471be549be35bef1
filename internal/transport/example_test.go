package transport_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"sync"

	"kvd/internal/transport"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// member stands for a raft member: it prints what it is told.
type member struct{}

func (member) Step([]*raftpb.Message)      {}
func (member) ReportUnreachable(uint64)    {}
func (member) ReportSnapshot(uint64, bool) {}
func (member) HandleForward(_ context.Context, from uint64, req []byte) ([]byte, error) {
	return fmt.Appendf(nil, "%s from member %d", req, from), nil
}
func (member) OpenSnapshot(uint64) (io.ReadCloser, int64, error) { return nil, 0, io.EOF }
func (member) ReceiveSnapshot(context.Context, *raftpb.Message, io.Reader) error {
	return io.EOF
}
func (member) IsRemoved(uint64) bool { return false }
func (member) MarkRemoved()          {}

// Two members, and a request from one to the other.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	start := func(id uint64) (*transport.Transport, string) {
		srv := httptest.NewUnstartedServer(nil)
		url := "http://" + srv.Listener.Addr().String()
		tr, err := transport.New(transport.Config{ID: id, ClusterID: 1, PeerURL: url, Logger: zap.NewNop()})
		if err != nil {
			panic(err)
		}
		srv.Config.Handler = tr.Handler()
		srv.Start()
		wg.Go(func() {
			_ = tr.Run(ctx, member{})
			srv.Close()
		})
		return tr, url
	}
	a, urlA := start(1)
	b, urlB := start(2)
	a.SetPeers(map[uint64]string{2: urlB})
	b.SetPeers(map[uint64]string{1: urlA})

	for {
		reply, sent, err := a.Forward(ctx, 2, []byte("hello"))
		if err == nil {
			fmt.Printf("%s\n", reply)
			break
		}
		if sent {
			panic(err) // it is not known whether it was handled
		}
		// Surely not handled: it may be sent again.
	}
	cancel()
	wg.Wait()
	// Output: hello from member 1
}
