package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime/metrics"
	"testing"
	"time"

	"go.etcd.io/raft/v3/confchange"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// fuzzLimit is the largest snapshot that the members below take. A fuzzer can
// make one that is larger.
const fuzzLimit = 64 << 10

// FuzzSnapshotStream: whatever is sent as a snapshot, the member has all of it,
// as it was sent, or the reader of its body ends with an error.
//
// Checksums would stop nearly all that a fuzzer makes, so that the parts are put
// together here, each with a fault or without; raw takes body as the whole request.
func FuzzSnapshotStream(f *testing.F) {
	good := mustMarshal(f, snapMsg(2, 1, 77))
	f.Add(good, []byte("snapshot"), int64(0), int64(0), uint32(0), int16(0), int8(0), uint8(3), false)
	f.Add(good, []byte{}, int64(0), int64(0), uint32(0), int16(0), int8(math.MinInt8), uint8(1), false)
	f.Add(good, []byte("snapshot"), int64(1)<<40, int64(1)<<40, uint32(0), int16(0), int8(math.MinInt8), uint8(0), false)
	f.Add([]byte(nil), []byte{0, 0xf, 0xff, 0xff, 0, 0, 0, 0}, int64(0), int64(0), uint32(0), int16(0), int8(0), uint8(0), true)
	tr := fuzzTransport(f)
	f.Fuzz(func(t *testing.T, head, body []byte, size, trailer int64, sum uint32, cut int16, length int8, step uint8, raw bool) {
		data := body
		if !raw {
			data = changeEnd(sealed(frame(head), body, size, trailer, sum), cut)
		}
		announced := int64(-1) // in chunks
		if length != math.MinInt8 {
			announced = max(0, int64(len(data))+int64(length))
		}
		in := &stepReader{t: t, data: data, step: int(step), end: io.EOF}
		if announced >= 0 { // what net/http makes of a request of another length
			if announced > int64(len(data)) {
				in.end = io.ErrUnexpectedEOF
			}
			in.data = data[:min(int64(len(data)), announced)]
		}
		sent := in.data
		wantMsg, want, whole := wholeSnapshot(sent)
		whole = whole && in.end == io.EOF

		var gotMsg *pb.Message
		var got []byte
		var end error
		recv := &recorder{receive: func(_ context.Context, m *pb.Message, r io.Reader) error {
			gotMsg = m
			got, end = io.ReadAll(r)
			return end
		}}
		req := httptest.NewRequest(http.MethodPost, pathSnapshot, in)
		req.ContentLength = announced
		req.Header.Set(headerProtocol, protocolVersion)
		req.Header.Set(headerCluster, formatCluster(testCluster))
		req.Header.Set(headerFrom, "2")
		req.Header.Set(headerTo, "1")
		w := &deadlineRecorder{httptest.NewRecorder()}
		before := allocated()
		err := tr.serveSnapshot(visit{t.Context(), recv}, w, req)
		checkAllocated(t, before, len(data))

		switch {
		case whole && (err != nil || end != nil || w.Code != http.StatusNoContent):
			t.Fatalf("a whole snapshot was refused: status %d, %v, %v", w.Code, err, end)
		case whole && (!bytes.Equal(got, want) || !proto.Equal(gotMsg, wantMsg)):
			t.Fatalf("received %v with %q, sent %v with %q", gotMsg, got, wantMsg, want)
		case !whole && err == nil:
			t.Fatalf("%x was taken for a snapshot", sent)
		case !whole && gotMsg != nil && !errors.Is(end, ErrSnapshotBody):
			t.Fatalf("the reader of the body ended with %v", end)
		}
		if gotMsg != nil {
			checkForRaft(t, gotMsg)
		}
		if len(tr.receiving) > 0 {
			t.Fatal("the snapshot is still being received")
		}
	})
}

// FuzzFetchedSnapshot does the same for the answer of a member that is asked for
// a snapshot.
func FuzzFetchedSnapshot(f *testing.F) {
	f.Add([]byte("snapshot"), int64(0), int64(0), uint32(0), int16(0), uint8(3), false)
	f.Add([]byte{}, int64(0), int64(0), uint32(0), int16(-1), uint8(0), false)
	f.Add([]byte("snapshot"), int64(1)<<40, int64(1)<<40, uint32(0), int16(0), uint8(0), false)
	f.Add([]byte("short"), int64(0), int64(0), uint32(0), int16(0), uint8(0), true)
	tr := fuzzTransport(f)
	f.Fuzz(func(t *testing.T, body []byte, size, trailer int64, sum uint32, cut int16, step uint8, raw bool) {
		data := body
		if !raw {
			data = changeEnd(sealed(nil, body, size, trailer, sum), cut)
		}
		tr.client.Transport = roundTripper(func(r *http.Request) *http.Response {
			h := http.Header{}
			h.Set(headerCluster, formatCluster(testCluster))
			h.Set(headerFrom, "2")
			return &http.Response{StatusCode: http.StatusOK, Header: h, Request: r,
				Body: io.NopCloser(&stepReader{t: t, data: data, step: int(step), end: io.EOF})}
		})
		before := allocated()
		got, err := fetchSnapshot(t.Context(), tr)
		checkAllocated(t, before, len(data))
		want, whole := wholeBody(data)
		if whole != (err == nil) || whole && !bytes.Equal(got, want) {
			t.Fatalf("%x: fetched %q, %v; whole %v", data, got, err, whole)
		}
	})
}

func fetchSnapshot(ctx context.Context, tr *Transport) ([]byte, error) {
	r, err := tr.FetchSnapshot(ctx, 2, 77)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

// fuzzTransport is member 1, with member 2 for a peer and without a connection.
func fuzzTransport(f *testing.F) *Transport {
	tr, err := New(Config{ID: 1, ClusterID: testCluster, PeerURL: "http://127.0.0.1:1", Logger: zap.NewNop(), MaxSnapshotBytes: fuzzLimit})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.Cleanup(cancel)
	tr.peers.Store(&map[uint64]*peer{2: newPeer(ctx, tr, new(recorder), 2, "http://127.0.0.1:2")})
	return tr
}

// sealed is a body behind a head, with its size, the size again and the checksum
// off by so much.
func sealed(head, body []byte, size, trailer int64, sum uint32) []byte {
	b := binary.BigEndian.AppendUint64(head, uint64(int64(len(body))+size))
	b = append(b, body...)
	b = binary.BigEndian.AppendUint64(b, uint64(int64(len(body))+trailer))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(body, castagnoli)+sum)
}

// changeEnd takes bytes from the end, or adds some.
func changeEnd(b []byte, cut int16) []byte {
	if cut < 0 {
		return append(b, make([]byte, -int(cut))...)
	}
	return b[:max(0, len(b)-int(cut))]
}

// checkForRaft fails if m is not from member 2, has state in it, or a configuration
// over which the library panics when it restores it.
func checkForRaft(t *testing.T, m *pb.Message) {
	t.Helper()
	meta := m.GetSnapshot().GetMetadata()
	if m.GetType() != pb.MsgSnap || m.GetFrom() != 2 || m.GetTo() != 1 || len(m.GetSnapshot().GetData()) > 0 || meta.GetIndex() == 0 {
		t.Fatalf("raft would see %v", m)
	}
	fresh := confchange.Changer{Tracker: tracker.MakeProgressTracker(10, 0), LastIndex: meta.GetIndex()}
	cfg, _, err := confchange.Restore(fresh, meta.GetConfState())
	if err != nil || len(cfg.Voters.IDs()) == 0 {
		t.Fatalf("raft would restore %v: %v", meta, err)
	}
}

// wholeSnapshot reads a request the plain way, all of it in memory.
func wholeSnapshot(data []byte) (msg *pb.Message, body []byte, ok bool) {
	if len(data) < frameHeaderBytes {
		return nil, nil, false
	}
	n, sum, rest := binary.BigEndian.Uint32(data), binary.BigEndian.Uint32(data[4:]), data[frameHeaderBytes:]
	if n > maxSnapshotHead || int(n) > len(rest) || crc32.Checksum(rest[:n], castagnoli) != sum {
		return nil, nil, false
	}
	msg = new(pb.Message)
	if unmarshal.Unmarshal(rest[:n], msg) != nil || checkSnapshotMessage(msg, 1, 2) != nil {
		return nil, nil, false
	}
	body, ok = wholeBody(rest[n:])
	return msg, body, ok
}

// wholeBody does it for what stands behind the message.
func wholeBody(data []byte) ([]byte, bool) {
	n := len(data) - snapshotSizeBytes - snapshotTrailerBytes
	if n < 0 || n > fuzzLimit {
		return nil, false
	}
	body, trailer := data[snapshotSizeBytes:][:n], data[snapshotSizeBytes+n:]
	return body, binary.BigEndian.Uint64(data) == uint64(n) && binary.BigEndian.Uint64(trailer) == uint64(n) &&
		binary.BigEndian.Uint32(trailer[8:]) == crc32.Checksum(body, castagnoli)
}

// stepReader gives data in steps of some bytes (0: as many as are wanted), and
// then end, to a reader who heeds it.
type stepReader struct {
	t    *testing.T
	data []byte
	step int
	end  error
	over int // reads past the end
}

func (r *stepReader) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		if r.over++; r.over > 100 {
			r.t.Fatal("reads on for ever past the end")
		}
		return 0, r.end
	}
	if r.step > 0 {
		p = p[:min(len(p), r.step)]
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

// deadlineRecorder has deadlines, as a connection does, that never come.
type deadlineRecorder struct{ *httptest.ResponseRecorder }

func (deadlineRecorder) SetReadDeadline(time.Time) error  { return nil }
func (deadlineRecorder) SetWriteDeadline(time.Time) error { return nil }

type roundTripper func(*http.Request) *http.Response

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// allocated is the number of bytes ever allocated, almost.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// checkAllocated fails if the reading of n bytes took memory that they do not
// account for. A message of empty entries takes about a hundred times its length.
func checkAllocated(t *testing.T, before uint64, n int) {
	t.Helper()
	if took, limit := allocated()-before, uint64(4<<20+256*n); took > limit {
		t.Fatalf("%d bytes took %d of memory, limit %d", n, took, limit)
	}
}
