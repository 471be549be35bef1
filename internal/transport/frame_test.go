package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

func readFrames(r io.Reader, buffer, limit int) ([][]byte, error) {
	fr := frameReader{br: bufio.NewReaderSize(r, buffer), max: limit}
	var bodies [][]byte
	for {
		body, err := fr.next()
		if err != nil {
			return bodies, err
		}
		bodies = append(bodies, bytes.Clone(body))
	}
}

func TestFrames(t *testing.T) {
	bodies := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte("x"), 100), []byte("after"), bytes.Repeat([]byte("y"), 3<<20), []byte("last")}
	var stream []byte
	for _, b := range bodies {
		stream = append(stream, frame(b)...)
	}
	readers := map[string]func(io.Reader) io.Reader{
		"whole":  func(r io.Reader) io.Reader { return r },
		"halves": iotest.HalfReader,
		"eof":    iotest.DataErrReader,
	}
	for name, wrap := range readers {
		got, err := readFrames(wrap(bytes.NewReader(stream)), 64, 4<<20)
		if err != io.EOF {
			t.Fatalf("%s: %v", name, err)
		}
		if len(got) != len(bodies) {
			t.Fatalf("%s: %d frames, want %d", name, len(got), len(bodies))
		}
		for i := range got {
			if !bytes.Equal(got[i], bodies[i]) {
				t.Errorf("%s: frame %d differs", name, i)
			}
		}
	}
}

func TestBadFrames(t *testing.T) {
	good := frame([]byte("good"))
	flip := func(i int) []byte {
		f := bytes.Clone(good)
		f[i] ^= 0x10
		return f
	}
	long := binary.BigEndian.AppendUint32(nil, 101)
	tests := []struct {
		name      string
		bytes     []byte
		violation bool
		want      string
	}{
		{"empty", nil, false, "EOF"},
		{"half a header", good[:5], false, "unexpected EOF"},
		{"header alone", good[:8], false, "unexpected EOF"},
		{"half a body", good[:10], false, "unexpected EOF"},
		{"half a long body", frame(make([]byte, 100))[:90], false, "unexpected EOF"},
		{"body changed", flip(9), true, "checksum"},
		{"checksum changed", flip(4), true, "checksum"},
		{"longer than allowed", append(long, 0, 0, 0, 0), true, "101 bytes, limit 100"},
		{"as long as can be", bytes.Repeat([]byte{0xff}, 8), true, "4294967295 bytes"},
	}
	for _, tt := range tests {
		_, err := readFrames(bytes.NewReader(tt.bytes), 16, 100)
		_, violated := errors.AsType[*violation](err)
		if violated != tt.violation || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v (violation: %v)", tt.name, err, violated)
		}
	}
}

// goldenBatch is what the format was when it was fixed.
func goldenBatch() []*pb.Message {
	return []*pb.Message{
		appendMsg(1, 2, 300, 5),
		heartbeat(1, 2, 300),
		{Type: pb.MsgReadIndex.Enum(), From: new(uint64(1)), To: new(uint64(2)), Entries: []*pb.Entry{{Data: []byte("read")}}},
	}
}

func TestGoldenFrame(t *testing.T) {
	text, err := os.ReadFile("testdata/frame.golden")
	if err != nil {
		t.Fatal(err)
	}
	golden, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	want := goldenBatch()
	if f := encodeAll(t, want); !bytes.Equal(f, golden) {
		t.Errorf("encoded as\n%x, want\n%x", f, golden)
	}
	bodies, err := readFrames(bytes.NewReader(golden), 64, 1<<20)
	if err != io.EOF || len(bodies) != 1 {
		t.Fatalf("%d frames, %v", len(bodies), err)
	}
	msgs, err := decodeBatch(bodies[0], 10, accept)
	if err != nil || len(msgs) != len(want) {
		t.Fatalf("%d messages, %v", len(msgs), err)
	}
	for i := range msgs {
		if !proto.Equal(msgs[i], want[i]) {
			t.Errorf("message %d: got %v, want %v", i, msgs[i], want[i])
		}
	}
}

func accept(*pb.Message) error { return nil }

// encodeAll puts messages into one frame.
func encodeAll(t testing.TB, msgs []*pb.Message) []byte {
	t.Helper()
	batch := outgoingOf(msgs)
	f, n, err := encodeBatch(nil, batch, 1<<30)
	if err != nil || n != len(batch) {
		t.Fatalf("encoded %d of %d messages: %v", n, len(batch), err)
	}
	return f
}

func outgoingOf(msgs []*pb.Message) []outgoing {
	batch := make([]outgoing, len(msgs))
	for i, m := range msgs {
		batch[i] = outgoing{m, proto.Size(m)}
	}
	return batch
}

func TestEncodeBatchStopsAtTarget(t *testing.T) {
	var msgs []*pb.Message
	for i := range uint64(10) {
		msgs = append(msgs, appendMsg(1, 2, i, 1000))
	}
	batch := outgoingOf(msgs)
	frames := 0
	for len(batch) > 0 {
		f, n, err := encodeBatch(nil, batch, 2500)
		if err != nil {
			t.Fatal(err)
		}
		if len(f) > 2500 {
			t.Errorf("frame of %d bytes", len(f))
		}
		batch = batch[n:]
		frames++
	}
	if frames != 5 {
		t.Errorf("%d frames, want 5", frames)
	}
}

func TestDecodeBatchBounds(t *testing.T) {
	empty := bytes.Repeat([]byte{0}, maxBatchMessages+1) // messages of length 0
	if _, err := decodeBatch(empty, 10, accept); err == nil {
		t.Error("too many messages were decoded")
	}
	entries := append([]byte{22}, bytes.Repeat([]byte{entriesField<<3 | 2, 0}, 11)...) // entries of length 0
	if _, err := decodeBatch(entries, 10, accept); err == nil {
		t.Error("too many entries were decoded")
	}
	if msgs, err := decodeBatch(entries, 11, accept); err != nil || len(msgs[0].Entries) != 11 {
		t.Errorf("entries within the limit: %v", err)
	}
	var nested []byte // responses in responses
	for range 100 {
		nested = append(binary.AppendUvarint([]byte{14<<3 | 2}, uint64(len(nested))), nested...)
	}
	if _, err := decodeBatch(append(binary.AppendUvarint(nil, uint64(len(nested))), nested...), 10, accept); err == nil {
		t.Error("a hundred levels were decoded")
	}
}

// FuzzFrames: no bytes make the reader or the decoder panic or hand on a
// message that was not checked, and what they accept they accept again when
// it is encoded anew.
func FuzzFrames(f *testing.F) {
	f.Add(encodeAll(f, goldenBatch()))
	f.Add(append(bytes.Clone(emptyFrame), frame([]byte{1, 2, 3})...))
	f.Add(bytes.Repeat([]byte{0xff}, 20))
	f.Fuzz(func(t *testing.T, data []byte) {
		bodies, _ := readFrames(bytes.NewReader(data), 32, 1<<16)
		// A checksum stops nearly all that a fuzzer makes: the raw bytes are
		// tried as a body as well.
		for _, body := range append(bodies, data) {
			checked := 0
			msgs, err := decodeBatch(body, 1000, func(m *pb.Message) error {
				checked++
				return checkMessage(m, 2, 1)
			})
			if err != nil {
				if len(msgs) > 0 {
					t.Fatalf("messages in spite of %v", err)
				}
				continue
			}
			if checked != len(msgs) {
				t.Fatalf("%d of %d messages checked", checked, len(msgs))
			}
			again, err := decodeBatch(encodeAll(t, msgs)[frameHeaderBytes:], 1000, func(m *pb.Message) error { return checkMessage(m, 2, 1) })
			if err != nil || len(again) != len(msgs) {
				t.Fatalf("%d messages, encoded and decoded %d: %v", len(msgs), len(again), err)
			}
			for i := range msgs {
				if !proto.Equal(msgs[i], again[i]) {
					t.Fatalf("message %d changed", i)
				}
			}
		}
	})
}

// FuzzCalls does the same for requests and replies.
func FuzzCalls(f *testing.F) {
	f.Add(appendRequest(appendRequest(nil, request{1, 0, []byte("a")}), request{2, 5000, nil}))
	f.Add(appendReply(nil, reply{300, statusFailed, []byte("text")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		for body := data; len(body) > 0; {
			r, rest, err := takeRequest(body)
			if err != nil {
				break
			}
			if r2, _, err := takeRequest(appendRequest(nil, r)); err != nil || r2.id != r.id || r2.timeout != r.timeout || !bytes.Equal(r2.payload, r.payload) {
				t.Fatalf("request %v became %v, %v", r, r2, err)
			}
			body = rest
		}
		for body := data; len(body) > 0; {
			r, rest, err := takeReply(body)
			if err != nil {
				break
			}
			if r2, _, err := takeReply(appendReply(nil, r)); err != nil || r2.id != r.id || r2.status != r.status || !bytes.Equal(r2.payload, r.payload) {
				t.Fatalf("reply %v became %v, %v", r, r2, err)
			}
			body = rest
		}
	})
}

// benchBatch is a batch of the kind a busy leader sends.
func benchBatch(entryBytes int) []*pb.Message {
	return []*pb.Message{appendMsg(1, 2, 1, entryBytes), appendMsg(1, 2, 2, entryBytes)}
}

func BenchmarkEncode(b *testing.B) {
	for name, size := range map[string]int{"200B": 200, "8KiB": 8 << 10, "256KiB": 256 << 10} {
		b.Run(name, func(b *testing.B) {
			batch := outgoingOf(benchBatch(size))
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				f, _, err := encodeBatch(buf, batch, frameTarget)
				if err != nil {
					b.Fatal(err)
				}
				buf = f
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, size := range map[string]int{"200B": 200, "8KiB": 8 << 10, "256KiB": 256 << 10} {
		b.Run(name, func(b *testing.B) {
			f := encodeAll(b, benchBatch(size))
			r := bytes.NewReader(f)
			fr := frameReader{br: bufio.NewReaderSize(r, largeReadBuffer), max: 64 << 20}
			check := func(m *pb.Message) error { return checkMessage(m, 2, 1) }
			b.SetBytes(int64(len(f)))
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(f)
				body, err := fr.next()
				if err != nil {
					b.Fatal(err)
				}
				if _, err := decodeBatch(body, maxEntries(fr.max), check); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
