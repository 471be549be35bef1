package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// newSnapshot is a fixture with a snapshot of size bytes.
func newSnapshot(t testing.TB, size int) (*fixture, []byte) {
	f := newFixture(t)
	file := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(file)
	f.admin.set(func(a *fakeAdmin) {
		a.info, a.file = SnapshotInfo{Index: 40, Term: 7, Revision: 38, Size: int64(size)}, file
	})
	return f, file
}

// digestOf is the digest of a file as fields of headers have it.
func digestOf(file []byte) string {
	sum := sha256.Sum256(file)
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

func TestTakeSnapshot(t *testing.T) {
	f, _ := newSnapshot(t, 12)
	resp := f.want(201, `{"index":40,"term":7,"revision":38,"size_bytes":12}`+"\n", "POST", "/v1/snapshots", "")
	wantHeader(t, resp, map[string]string{"Location": "/v1/snapshots/latest", "Etag": `"40-7"`, "Kvd-Revision": "38"})
	f.wantProblem(400, "bad_parameter", notApplied, "POST", "/v1/snapshots?force=true", "")
	f.wantProblem(400, "bad_parameter", notApplied, "POST", "/v1/snapshots", "", "Idempotency-Key: 1")
	f.admin.set(func(a *fakeAdmin) { a.err = errTimeUp })
	f.wantProblem(504, "outcome_unknown", unknown, "POST", "/v1/snapshots", "")
	if got := f.admin.done(); len(got) != 2 {
		t.Errorf("asked for %q", got)
	}
}

func TestGetSnapshot(t *testing.T) {
	f, file := newSnapshot(t, 3<<20+17)
	digest := digestOf(file)
	for _, tt := range []struct {
		name    string
		method  string
		headers []string
		status  int
		from, n int // of the file, in the answer
		want    map[string]string
	}{
		{"whole", "GET", nil, 200, 0, len(file), map[string]string{"Content-Digest": digest, "Content-Length": itoa(len(file)), "Content-Range": ""}},
		// What a digest of no content would say is of no use to anybody.
		{"head", "HEAD", nil, 200, 0, 0, map[string]string{"Content-Digest": "", "Content-Length": itoa(len(file))}},
		{"rest", "GET", []string{"Range: bytes=3145728-"}, 206, 3 << 20, 17, map[string]string{"Content-Digest": "", "Content-Range": "bytes 3145728-3145744/3145745"}},
		{"end", "GET", []string{"Range: bytes=-5"}, 206, len(file) - 5, 5, map[string]string{"Content-Range": "bytes 3145740-3145744/3145745"}},
		{"same file", "GET", []string{"Range: bytes=1-2", `If-Range: "40-7"`}, 206, 1, 2, nil},
		{"another file", "GET", []string{"Range: bytes=1-2", `If-Range: "39-7"`}, 200, 0, len(file), map[string]string{"Content-Digest": digest}},
		{"another time", "GET", []string{"Range: bytes=1-2", "If-Range: Wed, 21 Oct 2015 07:28:00 GMT"}, 200, 0, len(file), nil},
		{"no range", "GET", []string{"Range: lines=1-2"}, 416, 0, 0, nil},
		{"match", "GET", []string{`If-Match: "40-7"`}, 200, 0, len(file), nil},
		{"none match", "GET", []string{`If-None-Match: "39-7"`}, 200, 0, len(file), nil},
	} {
		resp := f.do(tt.method, "/v1/snapshots/latest", "", tt.headers...)
		if resp.StatusCode != tt.status {
			t.Errorf("%s: got %d, want %d", tt.name, resp.StatusCode, tt.status)
			continue
		}
		wantHeader(t, resp, tt.want)
		if tt.status >= 400 {
			continue
		}
		wantHeader(t, resp, map[string]string{"Etag": `"40-7"`, "Kvd-Revision": "38", "Repr-Digest": digest, "Accept-Ranges": "bytes", "Last-Modified": "",
			"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff", "Content-Disposition": `attachment; filename="kvd-40-7.snap"`, "Cache-Control": "no-cache"})
		if got := readAll(t, resp); got != string(file[tt.from:tt.from+tt.n]) {
			t.Errorf("%s: got %d bytes, want %d from %d on", tt.name, len(got), tt.n, tt.from)
		}
	}
	resp := f.do("GET", "/v1/snapshots/latest", "", `If-None-Match: "40-7"`)
	wantHeader(t, resp, map[string]string{"Etag": `"40-7"`})
	if got := readAll(t, resp); resp.StatusCode != 304 || got != "" {
		t.Errorf("got %d %q", resp.StatusCode, got)
	}
	if f.admin.opened != 0 {
		t.Errorf("%d files are open", f.admin.opened)
	}
}

// What http.ServeContent refuses is told as everything else is.
func TestGetSnapshotProblems(t *testing.T) {
	f, _ := newSnapshot(t, 10)
	resp := f.do("GET", "/v1/snapshots/latest", "", "Range: bytes=10-")
	wantHeader(t, resp, map[string]string{"Content-Range": "bytes */10", "Repr-Digest": "", "Content-Digest": "", "Content-Disposition": "", "Accept-Ranges": "", "Cache-Control": "no-store"})
	checkProblem(t, resp, 416, "bad_range", "")
	resp = f.do("GET", "/v1/snapshots/latest", "", `If-Match: "39-7"`)
	wantHeader(t, resp, map[string]string{"Etag": `"40-7"`, "Repr-Digest": ""})
	checkProblem(t, resp, 412, "precondition_failed", "")
	f.wantProblem(400, "bad_parameter", "", "GET", "/v1/snapshots/latest?timeout=1s", "")
	f.admin.set(func(a *fakeAdmin) { a.info.Index, a.readErr = 41, errors.New("input/output error") })
	f.wantProblem(500, "internal", "", "GET", "/v1/snapshots/latest", "")
	if got := f.errors.String(); !strings.Contains(got, "read snapshot 41: input/output error") {
		t.Errorf("logged %q", got)
	}
	f.admin.set(func(a *fakeAdmin) { a.file = nil })
	f.wantProblem(404, "not_found", "", "GET", "/v1/snapshots/latest", "")
	if f.admin.opened != 0 {
		t.Errorf("%d files are open", f.admin.opened)
	}
}

// The digest of a snapshot is found once, however many ask for it.
func TestSnapshotDigestIsRemembered(t *testing.T) {
	f, file := newSnapshot(t, 2<<20)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { f.do("HEAD", "/v1/snapshots/latest", "") })
	}
	wg.Wait()
	if f.admin.read != len(file) {
		t.Errorf("%d bytes were read", f.admin.read)
	}
	other := []byte("another")
	f.admin.set(func(a *fakeAdmin) { a.info, a.file = SnapshotInfo{Index: 41, Term: 7, Size: int64(len(other))}, other })
	resp := f.want(200, "another", "GET", "/v1/snapshots/latest", "")
	wantHeader(t, resp, map[string]string{"Content-Digest": digestOf(other), "Kvd-Revision": ""})
}

// Who waits for a digest that another request finds out may go.
func TestSnapshotDigestWaitEnds(t *testing.T) {
	d := newDigests()
	d.busyc <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.of(ctx, &SnapshotInfo{}, bytes.NewReader(nil), func() {}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-d.busyc
	// One that gives up leaves nothing behind that another could take for a digest.
	if _, err := d.of(ctx, &SnapshotInfo{}, bytes.NewReader(make([]byte, 3*digestPiece)), func() {}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	file := []byte("a file")
	if got, err := d.of(t.Context(), &SnapshotInfo{}, bytes.NewReader(file), func() {}); got != digestOf(file) || err != nil {
		t.Errorf("got %s and %v", got, err)
	}
}

// The deadlines for an answer start anew while bytes move: here they have passed
// before anything is written, even before the digest is known.
func TestSnapshotOutlivesServerDeadlines(t *testing.T) {
	f, file := newSnapshot(t, 5<<20)
	addr := f.serve(ServerConfig{WriteTimeout: time.Nanosecond})
	resp, err := http.Get("http://" + addr + "/v1/snapshots/latest")
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, resp); got != string(file) {
		t.Errorf("got %d bytes", len(got))
	}
}

func TestSnapshotEndsWhenNobodyReads(t *testing.T) {
	f, file := newSnapshot(t, 1<<20)
	d := &deaf{sink: sink{header: make(http.Header)}, takes: 3}
	start := time.Now()
	f.h.ServeHTTP(d, httptest.NewRequest("GET", "/v1/snapshots/latest", nil))
	if d.refused != 1 || d.n >= len(file) {
		t.Errorf("%d bytes taken, then %d more writes", d.n, d.refused)
	}
	if len(d.deadlines) == 0 || !slices.IsSortedFunc(d.deadlines, time.Time.Compare) || d.deadlines[0].Sub(start) < answerTime {
		t.Errorf("deadlines %v", d.deadlines)
	}
	if f.admin.opened != 0 {
		t.Errorf("%d files are open", f.admin.opened)
	}
}

// A download that breaks off goes on where it was.
func TestSnapshotResumes(t *testing.T) {
	f, file := newSnapshot(t, 300<<10)
	addr := f.serve(ServerConfig{})
	var got []byte
	for tag := ""; len(got) < len(file); {
		req, err := http.NewRequest("GET", "http://"+addr+"/v1/snapshots/latest", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if tag != "" {
			req.Header.Set("Range", "bytes="+itoa(len(got))+"-")
			req.Header.Set("If-Range", tag)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		piece, err := io.ReadAll(io.LimitReader(resp.Body, 100_000))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		tag = resp.Header.Get("Etag")
		got = append(got, piece...)
	}
	if !bytes.Equal(got, file) {
		t.Errorf("got %d bytes that differ", len(got))
	}
}

// sluggish is a client that takes its time for each write.
type sluggish struct {
	sink
	each     time.Duration
	deadline time.Time
}

func (s *sluggish) SetWriteDeadline(t time.Time) error { s.deadline = t; return nil }
func (s *sluggish) SetReadDeadline(time.Time) error    { return nil }

func (s *sluggish) Write(b []byte) (int, error) {
	if time.Sleep(s.each); time.Now().After(s.deadline) { // in virtual time
		return 0, os.ErrDeadlineExceeded
	}
	return s.sink.Write(b)
}

// A client that reads is served to the end, however long that takes.
func TestSnapshotForSlowReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, file := newSnapshot(t, 1<<20)
		for each, whole := range map[time.Duration]bool{answerTime - rearm: true, answerTime + time.Second: false} {
			w := &sluggish{sink: sink{header: make(http.Header)}, each: each}
			start := time.Now()
			f.h.ServeHTTP(w, httptest.NewRequest("GET", "/v1/snapshots/latest", nil))
			if took := time.Since(start); (w.n == len(file)) != whole {
				t.Errorf("%v for each write: %d bytes in %v", each, w.n, took)
			}
		}
	})
}
