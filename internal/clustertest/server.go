package clustertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"kvd/internal/httpapi"
	"kvd/internal/replica"
)

// What a client learns of a connection that brings no answer.
var (
	errRefused = errors.New("nobody listens there")           // the request reached nobody
	errBroken  = errors.New("connection broke")               // what became of the request is not known
	errSilence = errors.New("no answer in the client's time") // nor here
)

// server is the API of one member in one life, called without sockets.
type server struct {
	*replica.Replica
	id   uint64
	life context.Context
	gate *gate

	draining atomic.Bool
}

func (c *Cluster) apiConfig(id uint64) httpapi.Config {
	cfg := c.API
	cfg.Hosts = []string{clientHost(id)}
	return cfg
}

func clientHost(id uint64) string { return fmt.Sprintf("member-%d", id) }

// Server returns the member's API, or nil while it does not run.
func (m *Member) Server() *server {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.killed {
		return nil
	}
	return m.server
}

// Shutdown ends the life as SIGTERM does: no new writes, leadership goes to
// another, requests under way are answered, and then the rest ends.
func (m *Member) Shutdown() error {
	srv := m.Server()
	if srv == nil {
		return m.Stop()
	}
	srv.draining.Store(true)
	srv.API.Drain()
	ctx, cancel := context.WithTimeout(srv.life, 2*srv.Node.ElectionTimeout())
	defer cancel()
	srv.HandOver(ctx)
	return m.Stop()
}

// connect sends a request, and returns the connection that its answer comes on.
// The member works on it until ctx ends, which is when the client goes.
func (s *server) connect(ctx context.Context, wg *sync.WaitGroup, method, path string, header http.Header, body []byte) *connection {
	r, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://%s:2%s", clientHost(s.id), path), bytes.NewReader(body))
	if err != nil {
		panic(fmt.Sprintf("request %s %s: %v", method, path, err))
	}
	if header != nil {
		r.Header = header
	}
	if len(body) == 0 {
		r.Body = http.NoBody
	}
	c := &connection{srv: s, header: make(http.Header), wake: make(chan struct{}, 1)}
	wg.Go(func() {
		s.gate.pass()
		s.API.ServeHTTP(c, r)
		s.gate.pass()
		c.finish()
	})
	return c
}

// connection is the http.ResponseWriter of one request, and what its client reads.
// It breaks when the member's life ends; what was written before is not lost.
type connection struct {
	srv    *server
	header http.Header
	wake   chan struct{} // holds a token while there may be something to read

	mu     sync.Mutex
	status int
	sent   http.Header // as it was when the answer began
	body   []byte      // not read yet
	ended  bool
}

func (c *connection) Header() http.Header { return c.header }

func (c *connection) WriteHeader(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status == 0 {
		c.status, c.sent = status, c.header.Clone()
	}
}

func (c *connection) Write(b []byte) (int, error) {
	c.srv.gate.pass()
	if c.srv.life.Err() != nil {
		return 0, errBroken
	}
	c.WriteHeader(http.StatusOK)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.body = append(c.body, b...)
	return len(b), nil
}

// FlushError implements what http.ResponseController looks for.
func (c *connection) FlushError() error {
	if c.srv.life.Err() != nil {
		return errBroken
	}
	c.signal()
	return nil
}

func (c *connection) finish() {
	c.WriteHeader(http.StatusOK)
	c.mu.Lock()
	if c.srv.life.Err() == nil {
		c.ended = true
	}
	c.mu.Unlock()
	c.signal()
}

func (c *connection) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// read returns what has come since the last call, and waits for something. io.EOF:
// the answer is complete, and all of it was read.
func (c *connection) read(ctx context.Context) ([]byte, error) {
	for {
		c.mu.Lock()
		b, ended := c.body, c.ended
		c.body = nil
		c.mu.Unlock()
		switch {
		case len(b) > 0:
			return b, nil
		case ended:
			return nil, io.EOF
		case c.srv.life.Err() != nil:
			return nil, errBroken
		}
		select {
		case <-c.wake:
		case <-c.srv.life.Done():
		case <-ctx.Done():
			return nil, errSilence
		}
	}
}

// answer waits for the whole answer.
func (c *connection) answer(ctx context.Context) (*reply, error) {
	var body []byte
	for {
		b, err := c.read(ctx)
		body = append(body, b...)
		if err == io.EOF {
			c.mu.Lock()
			defer c.mu.Unlock()
			return &reply{status: c.status, header: c.sent, body: body, at: time.Now()}, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// reply is a whole answer.
type reply struct {
	status int
	header http.Header
	body   []byte
	at     time.Time
}
