package test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// intruder speaks to a member's peer port and pretends to be another member.
type intruder struct {
	cluster string
	from    uint64
	to      uint64
	addr    string
}

// header is what every request between members carries.
func (i *intruder) header() http.Header {
	h := http.Header{}
	h.Set("Kvd-Protocol", "1")
	h.Set("Kvd-Cluster", i.cluster)
	h.Set("Kvd-From", strconv.FormatUint(i.from, 10))
	h.Set("Kvd-To", strconv.FormatUint(i.to, 10))
	return h
}

// request sends a request with a body and returns the answer's status and text.
func (i *intruder) request(t *testing.T, path string, header http.Header, body []byte) (int, string) {
	t.Helper()
	conn, res := i.open(t, path, header, body)
	defer conn.Close()
	if res == nil {
		t.Fatalf("%s: closed without an answer", path)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// stream opens a connection for messages of a kind.
func (i *intruder) stream(t *testing.T, kind string) (net.Conn, *http.Response) {
	t.Helper()
	h := i.header()
	h.Set("Kvd-Kind", kind)
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "kvd-raft/1")
	return i.open(t, "/raft/v1/stream", h, nil)
}

// open sends a request and returns the answer, or nil when the connection was
// closed before there was one.
func (i *intruder) open(t *testing.T, path string, header http.Header, body []byte) (net.Conn, *http.Response) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", i.addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var head strings.Builder
	fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", path, i.addr, len(body))
	if err := header.Write(&head); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(append([]byte(head.String()+"\r\n"), body...)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return conn, nil // pushed aside by the genuine member
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return conn, res
}

// dismissal sends b as a message and returns what the other end says when it
// closes the connection, which it must do soon; empty when it says nothing.
func (i *intruder) dismissal(t *testing.T, b []byte) string {
	t.Helper()
	conn, res := i.stream(t, "control")
	defer conn.Close()
	if res == nil {
		return ""
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %d, want 101", res.StatusCode)
	}
	if err := conn.SetDeadline(time.Now().Add(4 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(b); err != nil {
		return "" // closed already
	}
	said, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection was left open")
	}
	// Frames without a body are signs of life.
	for len(said) >= 8 && string(said[:8]) == "\x00\x00\x00\x00\x00\x00\x00\x00" {
		said = said[8:]
	}
	return string(said[min(len(said), 8):])
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame is what travels between members: a length, a checksum and a body.
func frame(body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(body, castagnoli))
	return append(b, body...)
}

// batch is a frame with messages.
func batch(t *testing.T, msgs ...*pb.Message) []byte {
	t.Helper()
	var body []byte
	for _, m := range msgs {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		body = append(binary.AppendUvarint(body, uint64(len(b))), b...)
	}
	return frame(body)
}

// unshaken runs f and demands that the cluster has the same leader in the same
// term afterwards, and that all its members live and serve.
func unshaken(t *testing.T, c *cluster, f func()) {
	t.Helper()
	before := c.leader().mustStatus()
	f()
	after := c.leader().mustStatus()
	if after.Leader != before.Leader || after.Term != before.Term {
		t.Errorf("leader %d of term %d became leader %d of term %d", before.Leader, before.Term, after.Leader, after.Term)
	}
	for _, m := range c.members {
		m.put("alive", m.name())
	}
	for _, m := range c.members {
		m.wantValue("alive", c.members[len(c.members)-1].name())
	}
}
