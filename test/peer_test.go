package test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Who is not a member of this cluster, or talks to somebody else, is told so
// and goes no further.
func TestStrangersAtThePeerPort(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--election-ticks", "20")
	target := c.members[0]
	good := intruder{cluster: target.mustStatus().ClusterID, from: 2, to: 1, addr: target.peerAddr()}
	c.members = append(c.members, newMember(t, 4, "--join", target.clientURL))
	gone := c.members[3]
	gone.start()
	gone.waitReady(20 * time.Second)
	if err := target.call(http.MethodDelete, "/v1/members/4", nil).want(http.StatusNoContent); err != nil {
		t.Fatal(err)
	}
	if code := gone.process().exitCode(20 * time.Second); code != 5 {
		t.Errorf("member 4, removed: exit code %d, want 5", code)
	}
	c.members = c.members[:3]
	// It has heard of it from another member: each lets go of it by its own clock.
	waitFor(t, 5*time.Second, "the removal", func() error {
		i := good
		i.from = gone.id
		conn, res := i.stream(t, "append")
		defer conn.Close()
		if res == nil || res.StatusCode != http.StatusGone {
			return fmt.Errorf("a removed member was answered with %+v", res)
		}
		return nil
	})

	unshaken(t, c, func() {
		for _, tt := range []struct {
			name   string
			change func(i *intruder, h http.Header)
			status int
			text   string
		}{
			{"another cluster", func(_ *intruder, h http.Header) { h.Set("Kvd-Cluster", "00000000000000aa") }, 412, "cluster_id_mismatch"},
			{"no cluster", func(_ *intruder, h http.Header) { h.Del("Kvd-Cluster") }, 412, "cluster_id_mismatch"},
			{"to another member", func(_ *intruder, h http.Header) { h.Set("Kvd-To", "2") }, 403, ""},
			{"to nobody", func(_ *intruder, h http.Header) { h.Set("Kvd-To", "one") }, 403, ""},
			{"from an unknown member", func(_ *intruder, h http.Header) { h.Set("Kvd-From", "77") }, 403, ""},
			{"from itself", func(_ *intruder, h http.Header) { h.Set("Kvd-From", "1") }, 403, ""},
			{"from raft's own thread", func(_ *intruder, h http.Header) { h.Set("Kvd-From", "18446744073709551615") }, 403, ""},
			{"from a removed member", func(_ *intruder, h http.Header) { h.Set("Kvd-From", "4") }, 410, "removed"},
			{"another protocol", func(_ *intruder, h http.Header) { h.Set("Kvd-Protocol", "2") }, 426, ""},
		} {
			for _, path := range []string{"/raft/v1/stream", "/raft/v1/snapshot"} {
				t.Run(tt.name+path, func(t *testing.T) {
					h := good.header()
					h.Set("Kvd-Kind", "append")
					if path == "/raft/v1/stream" {
						h.Set("Connection", "Upgrade")
						h.Set("Upgrade", "kvd-raft/1")
					}
					tt.change(&good, h)
					status, text := good.request(t, path, h, nil)
					if status != tt.status || !strings.Contains(text, tt.text) {
						t.Errorf("got %d %s, want %d %s", status, text, tt.status, tt.text)
					}
				})
			}
		}
	})
}

// Garbage, and messages that no member sends, end their connection and nothing
// else.
func TestForgedMessages(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--election-ticks", "20")
	leader := c.leader()
	leader.put("k", "v")
	s := leader.mustStatus()
	i := &intruder{cluster: s.ClusterID, from: c.followers(leader)[0].id, to: leader.id, addr: leader.peerAddr()}
	// msg is a message that would pass, changed by f.
	msg := func(typ pb.MessageType, f func(m *pb.Message)) []byte {
		m := &pb.Message{Type: typ.Enum(), From: new(i.from), To: new(i.to), Term: new(s.Term)}
		if f != nil {
			f(m)
		}
		return batch(t, m)
	}
	forged := []struct {
		name  string
		bytes []byte
	}{
		{"noise", []byte(strings.Repeat("\x7fnoise\x00\xff", 100))},
		{"a length of 4 GB", append([]byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, make([]byte, 100)...)},
		{"a wrong checksum", append([]byte{0, 0, 0, 4, 1, 2, 3, 4}, "body"...)},
		{"a body that is no message", frame([]byte("\x04\xff\xff\xff\xff"))},
		{"a message longer than its frame", frame(binary.AppendUvarint(nil, 1<<40))},
		{"MsgHup", msg(pb.MsgHup, nil)},
		{"MsgBeat", msg(pb.MsgBeat, nil)},
		{"MsgCheckQuorum", msg(pb.MsgCheckQuorum, nil)},
		{"MsgUnreachable", msg(pb.MsgUnreachable, nil)},
		{"MsgSnapStatus", msg(pb.MsgSnapStatus, nil)},
		{"MsgProp", msg(pb.MsgProp, func(m *pb.Message) { m.Entries = []*pb.Entry{{Data: []byte("x")}} })},
		{"MsgTransferLeader", msg(pb.MsgTransferLeader, nil)},
		{"MsgStorageAppend", msg(pb.MsgStorageAppend, nil)},
		{"MsgStorageAppendResp", msg(pb.MsgStorageAppendResp, nil)},
		{"MsgStorageApply", msg(pb.MsgStorageApply, nil)},
		{"MsgStorageApplyResp", msg(pb.MsgStorageApplyResp, nil)},
		{"an unknown type", msg(pb.MessageType(99), nil)},
		{"MsgSnap outside of a snapshot", msg(pb.MsgSnap, func(m *pb.Message) {
			m.Snapshot = &pb.Snapshot{Metadata: &pb.SnapshotMetadata{Index: new(uint64(1 << 30)), Term: new(s.Term)}}
		})},
		{"from somebody else", msg(pb.MsgAppResp, func(m *pb.Message) { m.From = new(i.from + 100) })},
		{"from the receiver itself", msg(pb.MsgAppResp, func(m *pb.Message) { m.From = new(i.to) })},
		{"to somebody else", msg(pb.MsgAppResp, func(m *pb.Message) { m.To = new(i.from) })},
		{"a heartbeat with half a context", msg(pb.MsgHeartbeatResp, func(m *pb.Message) { m.Context = []byte("abc") })},
		{"a read without a name", msg(pb.MsgReadIndex, func(m *pb.Message) { m.Term = nil })},
		{"a gap between entries", msg(pb.MsgApp, func(m *pb.Message) {
			m.Index, m.LogTerm = new(uint64(5)), new(s.Term)
			m.Entries = []*pb.Entry{{Index: new(uint64(6)), Term: new(s.Term)}, {Index: new(uint64(8)), Term: new(s.Term)}}
		})},
		{"a broken change of membership", msg(pb.MsgApp, func(m *pb.Message) {
			m.Index, m.LogTerm = new(uint64(5)), new(s.Term)
			m.Entries = []*pb.Entry{{Index: new(uint64(6)), Term: new(s.Term), Type: pb.EntryConfChange.Enum(), Data: []byte("\xff\xff")}}
		})},
	}
	unshaken(t, c, func() {
		for _, tt := range forged {
			t.Run(tt.name, func(t *testing.T) {
				// The genuine member dials again when it is pushed aside, and then
				// it is the one that ends this connection.
				var reason string
				for range 10 {
					if reason = i.dismissal(t, tt.bytes); reason != "" {
						break
					}
				}
				if reason == "" {
					t.Error("the connection was closed without a reason")
				}
				if !leader.process().running() {
					t.Fatal("the member has ended")
				}
			})
		}
	})
	if peak, ok := peakMemory(leader.process()); ok && peak > 512<<20 {
		t.Errorf("the leader's memory has grown to %d MB", peak>>20)
	}
}

// A snapshot that is cut, altered or lies about its size is refused, and leaves
// nothing behind.
func TestForgedSnapshots(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--election-ticks", "20")
	leader := c.leader()
	leader.put("k", "v")
	target := c.followers(leader)[0]
	s := leader.mustStatus()
	i := &intruder{cluster: s.ClusterID, from: leader.id, to: target.id, addr: target.peerAddr()}
	head := &pb.Message{
		Type: pb.MsgSnap.Enum(), From: new(i.from), To: new(i.to), Term: new(s.Term),
		Snapshot: &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
			Index: new(s.CommitIndex + 1000), Term: new(s.Term), ConfState: &pb.ConfState{Voters: []uint64{1, 2, 3}}}},
	}
	encoded, err := proto.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(strings.Repeat("state", 10_000))
	// whole is a request whose outer form is right: what it holds is no state.
	whole := func(body []byte, size uint64, sum uint32) []byte {
		b := binary.BigEndian.AppendUint64(frame(encoded), size)
		b = append(b, body...)
		b = binary.BigEndian.AppendUint64(b, size)
		return binary.BigEndian.AppendUint32(b, sum)
	}
	size, sum := uint64(len(body)), crc32.Checksum(body, castagnoli)
	right := whole(body, size, sum)
	for _, tt := range []struct {
		name   string
		bytes  []byte
		status []int
	}{
		{"no state at all", right, []int{400, 500}},
		{"a wrong checksum", whole(body, size, sum+1), []int{400}},
		{"a size too small", whole(body, size-100, sum), []int{400}},
		{"a size too large", whole(body, size+100, sum), []int{400, 413}},
		{"a size beyond all limits", whole(body, 1<<62, sum), []int{413}},
		{"cut in the head", right[:20], []int{400}},
		{"nothing", nil, []int{400}},
		{"another message at the head", append(batch(t, &pb.Message{Type: pb.MsgApp.Enum()}), right...), []int{400}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			unshaken(t, c, func() {
				status, text := i.request(t, "/raft/v1/snapshot", i.header(), tt.bytes)
				for _, want := range tt.status {
					if status == want {
						return
					}
				}
				t.Errorf("got %d %s, want %v", status, text, tt.status)
			})
		})
	}
	t.Run("cut at the half", func(t *testing.T) {
		unshaken(t, c, func() {
			conn, err := net.Dial("tcp", i.addr)
			if err != nil {
				t.Fatal(err)
			}
			var head strings.Builder
			fmt.Fprintf(&head, "POST /raft/v1/snapshot HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", i.addr, len(right))
			if err := i.header().Write(&head); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(append([]byte(head.String()+"\r\n"), right[:len(right)/2]...)); err != nil {
				t.Fatal(err)
			}
			conn.Close()
		})
	})
	waitFor(t, 10*time.Second, "no temporary file is left", func() error {
		for _, name := range filesIn(t, target.dir) {
			if strings.HasPrefix(filepath.Base(name), "tmp") || strings.HasSuffix(name, ".snap.db") {
				return fmt.Errorf("there is %s", name)
			}
		}
		return nil
	})
	target.kill()
	target.start()
	target.waitReady(20 * time.Second)
	target.wantValue("k", "v")
}
