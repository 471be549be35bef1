package main

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"kvd/internal/httpapi"
)

// waitingRoom answers on both addresses while this member does not yet know
// which cluster it belongs to: clients that it lives and has no leader, founders
// what they need to found the cluster together.
type waitingRoom struct {
	stop context.CancelFunc
	wg   sync.WaitGroup
	ls   *listeners
}

// openWaitingRoom serves on borrowed listeners until close.
func openWaitingRoom(ctx context.Context, cfg *config, lg *zap.Logger, ls *listeners, tell *foundingHandler) *waitingRoom {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it ends when close says so
	r := &waitingRoom{stop: cancel, ls: ls}
	why := "this member waits for the other founding members: all of them are needed once, to found the cluster"
	if cfg.Join != "" {
		why = "this member is joining the cluster of " + cfg.Join
	}
	peers := http.NewServeMux()
	peers.Handle("GET "+foundingPath, tell)
	peers.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this member does not run yet", http.StatusServiceUnavailable)
	})
	r.serve(ctx, newPeerServer(peers, debugLog(lg, "peer")), ls.peer)
	api := httpapi.NewServer(httpapi.NewWaitingHandler(hosts(cfg), why), httpapi.ServerConfig{ErrorLog: debugLog(lg, "client")})
	r.serve(ctx, api, ls.client)
	return r
}

func (r *waitingRoom) serve(ctx context.Context, srv server, l net.Listener) {
	r.wg.Go(func() { _ = serveUntil(ctx, srv, borrowed{l}, 0) })
}

// close ends the room; the listeners stay open for those who come next.
func (r *waitingRoom) close() {
	r.stop()
	r.wg.Wait()
	giveBack(r.ls.peer)
	giveBack(r.ls.client)
}

// borrowed is a listener that its user cannot close: closing it ends an Accept
// under way and leaves the address bound.
type borrowed struct{ net.Listener }

// Close implements net.Listener.
func (b borrowed) Close() error {
	l, ok := b.Listener.(*net.TCPListener)
	if !ok {
		return b.Listener.Close()
	}
	return l.SetDeadline(time.Unix(1, 0))
}

// giveBack makes a listener accept again after it was borrowed.
func giveBack(l net.Listener) {
	if l, ok := l.(*net.TCPListener); ok {
		_ = l.SetDeadline(time.Time{})
	}
}
