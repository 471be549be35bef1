package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// newScriptFunc is newScript, or another that gives the same script otherwise.
type newScriptFunc func(t testing.TB, cfg Config, replies ...reply) (*Client, *script)

// overScripts runs a test over a script that is a transport of net/http's, and over
// one at the other end of connections of the Client's own.
func overScripts(t *testing.T, test func(*testing.T, newScriptFunc)) {
	t.Run("net-http", func(t *testing.T) { test(t, newScript) })
	t.Run("own", func(t *testing.T) { test(t, newPipeScript) })
}

// newPipeScript is newScript over pipes, which work in virtual time: for the calls of
// everyday, the others come as before.
func newPipeScript(t testing.TB, cfg Config, replies ...reply) (*Client, *script) {
	c, s := newScript(t, cfg, replies...)
	for i := range c.endpoints {
		e := &c.endpoints[i]
		e.pool = &pool{host: e.base.Host, keep: idleTime, timer: time.AfterFunc(time.Hour, func() {}), dial: func(context.Context, time.Time) (net.Conn, error) {
			s.mu.Lock()
			refuses := s.replies[0].noConn
			s.mu.Unlock()
			if refuses {
				return nil, s.refuse(e.base.Host)
			}
			ours, theirs := net.Pipe()
			go s.serve(e.base.Host, theirs)
			return ours, nil
		}}
	}
	return c, s
}

// refuse is the next reply, which is that there is no connection.
func (s *script) refuse(host string) error {
	_, err := s.RoundTrip(&http.Request{URL: &url.URL{Host: host}})
	return err
}

// serve answers one request on conn.
func (s *script) serve(host string, conn net.Conn) {
	defer conn.Close()
	br := bufio.NewReader(conn)
	r, err := http.ReadRequest(br)
	if err != nil {
		s.t.Errorf("read the request: %v", err)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Errorf("request body: %v", err)
	}
	r.URL.Host, r.Body = host, io.NopCloser(bytes.NewReader(body))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = br.ReadByte() // until the other end is closed
		cancel()
	}()
	res, err := s.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return
	}
	body, err = io.ReadAll(res.Body)
	length := len(body)
	if err != nil {
		length++ // it is cut
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d X\r\nConnection: close\r\n", res.StatusCode)
	if res.StatusCode != http.StatusNoContent && res.StatusCode != http.StatusNotModified {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", length)
	}
	if err := res.Header.Write(&b); err != nil {
		s.t.Error(err)
	}
	b.WriteString("\r\n")
	b.Write(body)
	if _, err := conn.Write(b.Bytes()); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		s.t.Error(err)
	}
}
