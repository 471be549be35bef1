package client

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
)

// file is a good answer with the file of a snapshot.
func file(content string) reply {
	sum := sha256.Sum256([]byte(content))
	return reply{status: 200, body: content, header: http.Header{
		"Content-Type": {"application/octet-stream"}, "Etag": {`"40-7"`}, "Kvd-Revision": {"38"},
		"Content-Length": {strconv.Itoa(len(content))}, "Repr-Digest": {"sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"},
	}}
}

// with changes one field of the header.
func (r reply) with(name, value string) reply {
	r.header = r.header.Clone()
	r.header.Set(name, value)
	return r
}

func TestLatestSnapshot(t *testing.T) {
	content := strings.Repeat("snapshot", 10_000)
	for name, r := range map[string]reply{
		"":             file(content),
		"more digests": file(content).with("Repr-Digest", "md5=:AAAA:, "+file(content).header.Get("Repr-Digest")),
	} {
		c, s := newScript(t, Config{}, problemReply(503, "diverged", ""), r)
		snap, err := c.LatestSnapshot(t.Context(), "")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := (SnapshotInfo{40, 7, 38, int64(len(content))}); snap.SnapshotInfo != want || snap.Endpoint != "http://b" || s.hosts() != "ab" {
			t.Errorf("%s: got %+v of %s", name, snap.SnapshotInfo, snap.Endpoint)
		}
		if err := iotest.TestReader(snap, []byte(content)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for range 2 {
			if err := snap.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := snap.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
	}
}

// What is not the whole snapshot does not end as if it were.
func TestBrokenSnapshots(t *testing.T) {
	for name, tt := range map[string]struct {
		reply reply
		want  error // nil: any
	}{
		"another":     {file("snapshot").with("Repr-Digest", file("Snapshot").header.Get("Repr-Digest")), ErrBadAnswer},
		"shorter":     {file("snapshot").with("Content-Length", "9"), ErrBadAnswer},
		"cut":         {reply{status: 200, body: "snap", header: file("snapshot").header, cutBody: true}, io.ErrUnexpectedEOF},
		"no digest":   {file("snapshot").with("Repr-Digest", ""), ErrBadAnswer},
		"bad digest":  {file("snapshot").with("Repr-Digest", "sha-256=:AAAA:"), ErrBadAnswer},
		"other hash":  {file("snapshot").with("Repr-Digest", strings.Replace(file("snapshot").header.Get("Repr-Digest"), "256", "512", 1)), ErrBadAnswer},
		"no name":     {file("snapshot").with("ETag", `"40"`), ErrBadAnswer},
		"no length":   {file("snapshot").with("Content-Length", ""), ErrBadAnswer},
		"another way": {file("snapshot").with("Content-Type", "text/html"), ErrBadAnswer},
		"none":        {problemReply(404, "not_found", ""), ErrNotFound},
	} {
		c, _ := newScript(t, Config{}, tt.reply)
		snap, err := c.LatestSnapshot(t.Context(), "http://a")
		if err == nil {
			_, err = io.ReadAll(snap)
			if _, again := snap.Read(make([]byte, 1)); again != err {
				t.Errorf("%s: %v, and then %v", name, err, again)
			}
			snap.Close()
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || !errors.Is(err, tt.want) || e.Endpoint != "http://a" || e.Route != "/v1/snapshots/latest" {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}

// trickle is a member that sends a part of a file and then no more.
type trickle struct{ script }

func (s *trickle) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.script.RoundTrip(r)
	if err == nil {
		pr, pw := io.Pipe()
		go func() {
			io.WriteString(pw, "snap")
			<-r.Context().Done()
			pw.CloseWithError(r.Context().Err())
		}()
		res.Body = pr
	}
	return res, err
}

func TestSilentSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &trickle{script{t: t, replies: []reply{file("snapshot")}}}
		c, err := New(Config{Endpoints: []string{"http://a"}, HTTPClient: &http.Client{Transport: s}})
		if err != nil {
			t.Fatal(err)
		}
		snap, err := c.LatestSnapshot(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(snap); string(got) != "snap" || !errors.Is(err, errSilent) {
			t.Errorf("got %q and %v", got, err)
		}
		snap.Close()
		if snap, err = c.LatestSnapshot(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		snap.Close()
		if _, err := snap.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("read after Close: %v", err)
		}
	})
}
