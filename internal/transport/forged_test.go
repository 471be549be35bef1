package transport

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// TestForgedStreams: whatever comes on a stream, raft sees none of it, and the
// stream ends with the reason.
func TestForgedStreams(t *testing.T) {
	encode := func(msgs ...*pb.Message) []byte {
		var batch []outgoing
		for _, m := range msgs {
			batch = append(batch, outgoing{m, proto.Size(m)})
		}
		f, _, err := encodeBatch(nil, batch, frameTarget)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	good := heartbeat(2, 1, 0)
	flipped := encode(good)
	flipped[len(flipped)-1] ^= 1
	giant := make([]byte, frameHeaderBytes, 100)
	binary.BigEndian.PutUint32(giant, 1<<32-1)
	tests := []struct {
		name, reason string
		bytes        []byte
	}{
		{"garbage protobuf", "message 1 of 1", frame([]byte{5, 0xff, 0xff, 0xff, 0xff, 0xff})},
		{"giant length prefix", "limit", giant},
		{"giant length in the batch", "in a frame with", frame(binary.AppendUvarint(nil, 1<<40))},
		{"wrong checksum", "checksum", flipped},
		{"keepalive with a checksum", "checksum", []byte{0, 0, 0, 0, 0, 0, 0, 1}},
		{"good, then bad", "MsgHup", encode(good, &pb.Message{To: new(uint64(1)), From: new(uint64(2))})},
		{"local only: MsgStorageAppendResp", "MsgStorageAppendResp", encode(&pb.Message{
			Type: pb.MsgStorageAppendResp.Enum(), To: new(uint64(1)), From: new(uint64(localAppendThread)), Term: new(uint64(9))})},
		{"from a local target", "from", encode(&pb.Message{
			Type: pb.MsgAppResp.Enum(), To: new(uint64(1)), From: new(uint64(localAppendThread)), Term: new(uint64(9))})},
		{"from somebody else", "from 3", encode(heartbeat(3, 1, 0))},
		{"to somebody else", "to 3", encode(heartbeat(2, 3, 0))},
		{"MsgProp", "MsgProp", encode(&pb.Message{Type: pb.MsgProp.Enum(), To: new(uint64(1)), From: new(uint64(2))})},
		{"MsgSnap", "MsgSnap", encode(snapMsg(2, 1, 9))},
	}
	n1 := alone(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := n1.Stats().Violations
			s := upgradeAs(t, n1, 2, kindControl)
			if _, err := s.Write(tt.bytes); err != nil {
				t.Fatal(err)
			}
			if reason := s.rest(); !strings.Contains(reason, tt.reason) {
				t.Errorf("closed with %q, want %q in it", reason, tt.reason)
			}
			if got := n1.Stats().Violations; got != before+1 {
				t.Errorf("%d violations counted, want 1", got-before)
			}
		})
	}
	n1.rec.mu.Lock()
	defer n1.rec.mu.Unlock()
	if len(n1.rec.steps) != 0 {
		t.Errorf("raft was handed %v", n1.rec.steps)
	}
}

// TestLyingLengthTakesNoMemory announces the largest frame and sends a little.
func TestLyingLengthTakesNoMemory(t *testing.T) {
	n1 := alone(t, nil)
	before := heapBytes()
	for id := uint64(2); id <= 9; id++ {
		s := upgradeAs(t, n1, id, kindAppend)
		header := make([]byte, frameHeaderBytes)
		binary.BigEndian.PutUint32(header, uint32(n1.cfg.MaxFrameBytes))
		binary.BigEndian.PutUint32(header[4:], crc32.Checksum(nil, castagnoli))
		if _, err := s.Write(append(header, make([]byte, 1000)...)); err != nil {
			t.Fatal(err)
		}
	}
	if grown := int64(heapBytes()) - int64(before); grown > 64<<20 {
		t.Errorf("heap grew by %d bytes", grown)
	}
}

// TestNewestConnectionWins: a peer that dials again has given up the
// connection before.
func TestNewestConnectionWins(t *testing.T) {
	n1 := alone(t, nil)
	old := upgradeAs(t, n1, 2, kindControl)
	fresh := upgradeAs(t, n1, 2, kindControl)
	old.rest()
	f := frame(append([]byte{byte(proto.Size(heartbeat(2, 1, 3)))}, mustMarshal(t, heartbeat(2, 1, 3))...))
	if _, err := fresh.Write(f); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a message on the new one", func() bool { return len(n1.rec.messages(pb.MsgHeartbeat)) == 1 })
}
