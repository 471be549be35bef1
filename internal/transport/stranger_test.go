package transport

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// stranger speaks to a node by hand.
type stranger struct {
	net.Conn
	t testing.TB
}

// upgradeAs opens a stream with a node as if it were member from.
func upgradeAs(t testing.TB, n *node, from uint64, kind string) *stranger {
	t.Helper()
	conn, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s: %s\r\n%s: %s\r\n%s: %d\r\n%s: %d\r\n%s: %s\r\n\r\n",
		pathStream, n.addr, upgradeToken, headerProtocol, protocolVersion, headerCluster, formatCluster(testCluster),
		headerFrom, from, headerTo, n.cfg.ID, headerKind, kind)
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		var b [1]byte
		if _, err := conn.Read(b[:]); err != nil {
			t.Fatalf("read answer after %q: %v", head, err)
		}
		head = append(head, b[0])
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		t.Fatalf("answer to upgrade: %q", head)
	}
	return &stranger{conn, t}
}

// rest reads until the node closes, and returns the reason it gave.
func (s *stranger) rest() string {
	s.t.Helper()
	all, err := io.ReadAll(s)
	if err != nil {
		s.t.Fatalf("the node did not close properly: %v", err)
	}
	for bytes.HasPrefix(all, emptyFrame) {
		all = all[frameHeaderBytes:]
	}
	if len(all) < frameHeaderBytes {
		return ""
	}
	return string(all[frameHeaderBytes:])
}

// frame wraps a body.
func frame(body []byte) []byte {
	f := append(beginFrame(nil), body...)
	sealFrame(f)
	return f
}
