package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// TestCallSent: a request counts as not sent if the connection is lost before it has
// taken a byte of it, or the caller gives up while it waits; and as sent, in doubt.
func TestCallSent(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(t *testing.T, first, second chan error, to net.Conn, leave context.CancelFunc)
		want [2]bool
	}{
		{"nothing was taken", func(t *testing.T, _, _ chan error, to net.Conn, _ context.CancelFunc) {
			to.Close()
		}, [2]bool{false, false}},
		{"a byte of the first was", func(t *testing.T, _, _ chan error, to net.Conn, _ context.CancelFunc) {
			if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
				t.Error(err)
			}
			to.Close()
		}, [2]bool{true, false}},
		{"the callers leave", func(t *testing.T, first, second chan error, to net.Conn, leave context.CancelFunc) {
			leave()
			for _, c := range []chan error{first, second} {
				err := <-c
				if !errors.Is(err, context.Canceled) {
					t.Errorf("a caller that has left: %v", err)
				}
				c <- err
			}
			to.Close()
		}, [2]bool{true, false}}, // of the first there is a frame, which run is about to write
	} {
		t.Run(tt.name, func(t *testing.T) {
			tr, err := New(testConfig(t, 1, "http://127.0.0.1:1"))
			if err != nil {
				t.Fatal(err)
			}
			from, to := net.Pipe() // it holds nothing
			c := newCallConn(&peer{t: tr, id: 2}, newLink(t.Context(), from, time.Minute))
			ran := make(chan struct{})
			go func() {
				defer close(ran)
				_ = c.run(bufio.NewReader(from))
			}()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			var sent [2]bool
			var ends [2]chan error
			for i := range 2 {
				ends[i] = make(chan error, 1)
				go func() {
					_, ok, err := c.call(ctx, make([]byte, 100))
					sent[i] = ok
					ends[i] <- err
				}()
				waitFor(t, "the call to be queued, or in a frame", func() bool {
					c.mu.Lock()
					defer c.mu.Unlock()
					return len(c.calls) == i+1 && len(c.queue) == i
				})
			}
			tt.end(t, ends[0], ends[1], to, leave)
			<-ran
			for i, end := range ends {
				if err := <-end; !errors.Is(err, ErrLost) && !errors.Is(err, context.Canceled) {
					t.Errorf("call %d: %v", i, err)
				}
			}
			if sent != tt.want {
				t.Errorf("sent is %v, want %v", sent, tt.want)
			}
		})
	}
}
