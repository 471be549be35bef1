package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// snapRequest is the body of a snapshot, each part of which can be changed.
type snapRequest struct {
	msg     *pb.Message
	head    []byte // instead of msg
	size    uint64
	body    []byte
	trailer uint64
	sum     uint32
	length  int64 // -1 for chunked
	cut     int   // send only so much
}

func (q *snapRequest) encode(t *testing.T) []byte {
	head := q.head
	if head == nil {
		head = frame(mustMarshal(t, q.msg))
	}
	b := binary.BigEndian.AppendUint64(head, q.size)
	b = append(b, q.body...)
	b = binary.BigEndian.AppendUint64(b, q.trailer)
	return binary.BigEndian.AppendUint32(b, q.sum)
}

// post sends a snapshot by hand as member 2.
func post(t *testing.T, n *node, q *snapRequest) (int, string) {
	t.Helper()
	b := q.encode(t)
	length := q.length
	if length == 0 {
		length = int64(len(b))
	}
	if q.cut > 0 {
		b = b[:q.cut]
	}
	conn, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var req bytes.Buffer
	fmt.Fprintf(&req, "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s: %s\r\n%s: %s\r\n%s: 2\r\n%s: %d\r\n",
		pathSnapshot, headerProtocol, protocolVersion, headerCluster, formatCluster(testCluster), headerFrom, headerTo, n.cfg.ID)
	if length < 0 {
		fmt.Fprintf(&req, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(b), b)
	} else {
		fmt.Fprintf(&req, "Content-Length: %d\r\n\r\n%s", length, b)
	}
	go func() {
		_, _ = conn.Write(req.Bytes()) // the node may answer before it has all
		if q.cut > 0 {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	answer, _ := io.ReadAll(conn)
	var status int
	_, _ = fmt.Sscanf(string(answer), "HTTP/1.1 %d", &status)
	_, text, _ := strings.Cut(string(answer), "\r\n\r\n")
	return status, strings.TrimSpace(text)
}

func TestSnapshotRequests(t *testing.T) {
	data := bytes.Repeat([]byte("snapshot"), 100_000)
	good := func() *snapRequest {
		return &snapRequest{msg: snapMsg(2, 1, 77), size: uint64(len(data)), body: data,
			trailer: uint64(len(data)), sum: crc32.Checksum(data, castagnoli)}
	}
	tests := []struct {
		name   string
		change func(*snapRequest)
		status int
		text   string
	}{
		{"good", func(*snapRequest) {}, 204, ""},
		{"good, in chunks", func(q *snapRequest) { q.length = -1 }, 204, ""},
		{"wrong checksum", func(q *snapRequest) { q.sum++ }, 400, "checksum"},
		{"cut at a half", func(q *snapRequest) { q.cut = len(data) / 2 }, 400, "cut with"},
		{"cut in the trailer", func(q *snapRequest) { q.cut = len(q.encode(t)) - 5 }, 400, "trailer"},
		{"cut in the message", func(q *snapRequest) { q.cut = 20 }, 400, "read head"},
		{"cut in the size", func(q *snapRequest) { q.cut = len(frame(mustMarshal(t, q.msg))) + 3 }, 400, "read size"},
		{"size too small", func(q *snapRequest) { q.size-- }, 400, "in a request of"},
		{"size too large", func(q *snapRequest) { q.size++ }, 400, "in a request of"},
		{"size too small, in chunks", func(q *snapRequest) { q.size--; q.length = -1 }, 400, "more bytes than announced"},
		{"size too large, in chunks", func(q *snapRequest) { q.size += 100; q.length = -1 }, 400, "missing"},
		{"size of 2^40", func(q *snapRequest) { q.size = 1 << 40 }, 413, "limit"},
		{"trailer disagrees", func(q *snapRequest) { q.trailer++ }, 400, "in the trailer"},
		{"giant message", func(q *snapRequest) { q.head = []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0} }, 413, "limit"},
		{"garbage message", func(q *snapRequest) { q.head = frame([]byte{0xff, 0xff}) }, 400, "message"},
		{"another type", func(q *snapRequest) { q.msg = heartbeat(2, 1, 0) }, 400, "MsgHeartbeat"},
		{"from another", func(q *snapRequest) { q.msg = snapMsg(3, 1, 77) }, 400, "from 3"},
		{"with data", func(q *snapRequest) { q.msg.Snapshot.Data = []byte("x") }, 400, "inside its message"},
	}
	dst := newStores()
	dst.err = make(chan error, 100)
	n1 := startNode(t, 1, &dst.recorder, nil)
	n1.SetPeers(map[uint64]string{2: "http://127.0.0.1:1"})
	stepped := 0
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := good()
			tt.change(q)
			status, text := post(t, n1, q)
			if status != tt.status || !strings.Contains(text, tt.text) {
				t.Errorf("got %d %q, want %d and %q", status, text, tt.status, tt.text)
			}
			if tt.status == http.StatusNoContent {
				stepped++
			}
			if got := len(n1.rec.messages(pb.MsgSnap)); got != stepped {
				t.Errorf("%d snapshots stepped, want %d", got, stepped)
			}
		})
	}
}

// TestSnapshotTwiceFromOneMember answers 429 to the second.
func TestSnapshotTwiceFromOneMember(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	n1 := startNode(t, 1, &recorder{receive: func(_ context.Context, _ *pb.Message, body io.Reader) error {
		close(began)
		<-release
		_, err := io.Copy(io.Discard, body)
		return err
	}}, nil)
	n1.SetPeers(map[uint64]string{2: "http://127.0.0.1:1"})
	q := &snapRequest{msg: snapMsg(2, 1, 77)}
	first := make(chan int, 1)
	go func() {
		status, _ := post(t, n1, q)
		first <- status
	}()
	<-began
	if status, text := post(t, n1, q); status != http.StatusTooManyRequests {
		t.Errorf("second: %d %s", status, text)
	}
	close(release)
	if status := <-first; status != http.StatusNoContent {
		t.Errorf("first: %d", status)
	}
}
