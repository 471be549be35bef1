//go:build !race

// The race detector allocates for itself, so these counts hold without it: `make test`
// runs TestAllocations of all packages once more, without -race.

package transport

import (
	"bufio"
	"bytes"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// appendOf is an append of 16 entries, as long as batches of a few PUTs.
func appendOf() []outgoing {
	m := &pb.Message{Type: pb.MsgApp.Enum(), To: new(uint64(2)), From: new(uint64(1)), Term: new(uint64(3)), Index: new(uint64(1000)), LogTerm: new(uint64(3))}
	for i := range uint64(16) {
		m.Entries = append(m.Entries, &pb.Entry{Term: new(uint64(3)), Index: new(1001 + i), Data: make([]byte, 1000)})
	}
	return []outgoing{{m, proto.Size(m)}}
}

// TestAllocations counts what the hot paths allocate. Raise nothing here without a reason.
func TestAllocations(t *testing.T) {
	batch := appendOf()
	buf, _, err := encodeBatch(nil, batch, frameTarget)
	if err != nil {
		t.Fatal(err)
	}
	wire, body := bytes.Clone(buf), bytes.Clone(buf[frameHeaderBytes:])
	source := bytes.NewReader(wire)
	frames := frameReader{br: bufio.NewReaderSize(source, 64<<10), max: 1 << 20}
	accept := func(*pb.Message) error { return nil }
	payload := make([]byte, 180)
	var calls []byte
	for _, row := range []struct {
		name string
		run  func()
		most float64
	}{
		{"encode a frame", func() { buf, _, _ = encodeBatch(buf, batch, frameTarget) }, 0},
		{"read a frame", func() {
			source.Reset(wire)
			if got, err := frames.next(); err != nil || len(got) != len(body) {
				t.Fatal(len(got), err)
			}
		}, 0},
		{"decode a frame of 16 entries", func() {
			if _, err := decodeBatch(body, 1<<18, accept); err != nil {
				t.Fatal(err)
			}
		}, 77},
		{"a call there and back", func() {
			calls = appendRequest(calls[:0], request{1, time.Second, payload})
			if _, _, err := takeRequest(calls); err != nil {
				t.Fatal(err)
			}
			calls = appendReply(calls[:0], reply{1, 0, payload})
			if _, _, err := takeReply(calls); err != nil {
				t.Fatal(err)
			}
		}, 0},
	} {
		if n := testing.AllocsPerRun(500, row.run); n > row.most {
			t.Errorf("%s: %v allocations, was %v", row.name, n, row.most)
		}
	}
}

func BenchmarkCallCodec(b *testing.B) {
	payload := make([]byte, 180)
	var calls []byte
	b.ReportAllocs()
	for b.Loop() {
		calls = appendRequest(calls[:0], request{1, time.Second, payload})
		if _, _, err := takeRequest(calls); err != nil {
			b.Fatal(err)
		}
	}
}
