package http1

import (
	"cmp"
	"context"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves connections. Its methods are those of an http.Server.
type Server struct {
	// set by New
	fallback *http.Server
	handler  http.Handler
	short    func(*http.Request) bool
	handoff  *handoff
	ctx      context.Context // of all requests; ends with Close
	cancel   context.CancelFunc

	headTime, idleTime, writeTime time.Duration // limits, as net/http understands them; 0: none
	patience                      time.Duration // SilentPatience

	stopping atomic.Bool
	clock    clock
	mu       sync.Mutex
	conns    map[*conn]struct{}
	listener net.Listener
	closed   bool
	wg       sync.WaitGroup // of connections; grows only while not closed
}

// New returns a server in front of fallback, with the same handler and limits. short
// tells whether a request ends by itself soon: its context ends with Close, and not
// when the client hangs up. It must not keep the request. The fallback is this
// server's to serve, to shut down and to close; its hooks (BaseContext, ConnContext,
// ConnState) see only what is handed over.
func New(fallback *http.Server, short func(*http.Request) bool) *Server {
	s := &Server{
		fallback: fallback, handler: fallback.Handler, short: short,
		handoff: newHandoff(), conns: make(map[*conn]struct{}),
		headTime:  cmp.Or(fallback.ReadHeaderTimeout, fallback.ReadTimeout),
		idleTime:  cmp.Or(fallback.IdleTimeout, fallback.ReadTimeout),
		writeTime: fallback.WriteTimeout,
		patience:  SilentPatience,
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve accepts connections on l, which it closes, until Shutdown or Close, and
// returns http.ErrServerClosed when they and every handler that it called have ended;
// after Close at once, as net/http: a handler that is under way then ends by itself.
// An error of the listener's it returns at once, and Close ends what is left. One
// Server serves one listener.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closed || s.listener != nil {
		s.mu.Unlock()
		_ = l.Close()
		return http.ErrServerClosed
	}
	s.listener, s.handoff.addr = l, l.Addr()
	s.mu.Unlock()
	fallen := make(chan error, 1)
	go func() { fallen <- s.fallback.Serve(s.handoff) }()
	err := s.accept(l)
	_ = l.Close()
	if !s.stopping.Load() {
		return err
	}
	drained := make(chan struct{})
	go func() { s.wg.Wait(); close(drained) }()
	select {
	case <-drained: // until then each may still have to be handed over
	case <-s.ctx.Done():
	}
	_ = s.handoff.Close()
	<-fallen
	return http.ErrServerClosed
}

// accept starts a goroutine for each connection.
func (s *Server) accept(l net.Listener) error {
	pause := time.Duration(0)
	for {
		c, err := l.Accept()
		if err != nil {
			//lint:ignore SA1019 net/http asks the same, and there is nothing else to ask
			if ne, ok := err.(net.Error); !ok || !ne.Temporary() || s.stopping.Load() {
				return err
			}
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.logf("http1: accept: %v; again in %v", err, pause)
			time.Sleep(pause)
			continue
		}
		pause = 0
		if tcp, ok := c.(*net.TCPConn); !ok {
			s.handoff.give(c)
		} else if !s.begin(newConn(s, tcp)) {
			_ = c.Close()
		}
	}
}

// begin serves a connection; false: it is too late for that.
func (s *Server) begin(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	s.wg.Go(c.serve)
	return true
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// handOver gives a connection to net/http; false: it serves no more.
func (s *Server) handOver(tcp *net.TCPConn, rest []byte) bool {
	if tcp.SetDeadline(time.Time{}) != nil {
		return false
	}
	return s.handoff.give(&handed{tcp, append([]byte(nil), rest...)})
}

// SilentPatience is how long a connection that has sent nothing yet may still begin
// a request once Shutdown has begun. Clients open some ahead of need.
const SilentPatience = 250 * time.Millisecond

// shutdownPoll is how often Shutdown looks whether the last connection has ended.
const shutdownPoll = 5 * time.Millisecond

// Shutdown stops to accept, ends connections as they become idle, and returns when
// there are none left, or with ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	s.fallback.SetKeepAlivesEnabled(false) // the same for what is handed over
	began := time.Now()
	tick := time.NewTicker(shutdownPoll)
	defer tick.Stop()
	for !s.endIdle(time.Since(began) >= s.patience) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	// Nothing is handed over any more.
	return s.fallback.Shutdown(ctx)
}

// Close ends all connections, whatever they are doing, and the contexts of requests.
func (s *Server) Close() error {
	s.stop()
	s.mu.Lock()
	for c := range s.conns {
		c.state.Store(ended)
		_ = c.tcp.Close()
	}
	s.mu.Unlock()
	err := s.fallback.Close()
	_ = s.handoff.Close()
	s.cancel() // last: what a handler makes of it is for nobody
	return err
}

// stop ends the accepting.
func (s *Server) stop() {
	s.stopping.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.listener != nil {
		_ = s.listener.Close()
	}
}

// endIdle ends the connections that wait for a request, and tells whether there are
// none left.
func (s *Server) endIdle(silentToo bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.state.CompareAndSwap(idle, ended) || silentToo && c.state.CompareAndSwap(fresh, ended) {
			_ = c.tcp.Close()
		}
	}
	return len(s.conns) == 0
}

func (s *Server) logf(format string, args ...any) {
	if s.fallback.ErrorLog != nil {
		s.fallback.ErrorLog.Printf(format, args...)
	} else {
		log.Printf(format, args...)
	}
}
