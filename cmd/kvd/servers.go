package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// Limits of the peers' server; the API's are httpapi's.
const (
	headerTimeout  = 5 * time.Second
	idleTimeout    = 60 * time.Second
	maxHeaderBytes = 16 << 10
	drainTimeout   = 5 * time.Second // for requests under way when the member stops
)

// listeners are the two addresses of a member, bound before anything else so
// that a second process fails before it has touched a directory.
type listeners struct {
	client, peer net.Listener
}

// listen binds both addresses.
func listen(ctx context.Context, cfg *config) (*listeners, error) {
	client, err := bind(ctx, cfg, "listen-client", cfg.ListenClient)
	if err != nil {
		return nil, err
	}
	peer, err := bind(ctx, cfg, "listen-peer", cfg.ListenPeer)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return &listeners{client: client, peer: peer}, nil
}

func bind(ctx context.Context, cfg *config, flag, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, exitWith(exitBind, "%s: address in use: %s; use another, or end the process that holds it", cfg.flag(flag), address)
	case err != nil:
		return nil, exitWith(exitBind, "%s: cannot bind %s: %w; use an address of this machine", cfg.flag(flag), address, err)
	}
	return l, nil
}

// close releases both addresses; after a server has closed its own, again.
func (l *listeners) close() {
	_ = l.client.Close()
	_ = l.peer.Close()
}

// newPeerServer returns the server for other members. Bodies have no deadline
// here: a snapshot may take minutes, and the transport watches its progress.
func newPeerServer(h http.Handler, errorLog *log.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          errorLog,
	}
}

// debugLog takes what net/http reports. That is a client's doing (a header too
// long, a connection cut), and there can be any number of clients.
func debugLog(lg *zap.Logger, name string) *log.Logger {
	l, _ := zap.NewStdLogAt(lg.Named(name), zap.DebugLevel) // zap knows the level
	return l
}

// server is an http.Server, or what stands in front of one.
type server interface {
	Serve(l net.Listener) error
	Shutdown(ctx context.Context) error
	Close() error
}

// serveUntil serves on l until ctx ends. Requests under way then have patience
// to end; with none, and for those that take longer, connections are cut.
// Connections that were hijacked are their handlers' to close.
func serveUntil(ctx context.Context, srv server, l net.Listener, patience time.Duration) error {
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	if patience > 0 {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		_ = srv.Shutdown(drain) // its error says only that the time was up
	}
	_ = srv.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
