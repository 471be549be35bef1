package test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A snapshot that was taken on demand and fetched in two pieces is looked at
// offline, becomes a new cluster of one, and that a cluster of three. It has all
// that was there when it was taken and nothing that came later; revisions go on.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	leader := c.leader()
	w := startWriters(t, "w/", 200, 2*time.Millisecond, goPutters(t, 2, c.members...)...)
	w.waitMore(10*time.Second, 200)
	w.stop()
	leader.put("k", "before")
	leased, err := post(leader, "/v1/leases", `{"ttl":"1h"}`)
	if err != nil {
		t.Fatal(err)
	}
	var lease struct{ ID string }
	if err := leased.decode(http.StatusCreated, &lease); err != nil {
		t.Fatal(err)
	}
	leader.call(http.MethodPut, "/v1/kv/leased?lease="+lease.ID, []byte("x")).mustBe(t, http.StatusCreated)
	c.waitApplied(10 * time.Second)

	from := c.followers(leader)[0]
	wantProblem(t, from.call(http.MethodGet, "/v1/snapshots/latest", nil), http.StatusNotFound, "not_found", "")
	var taken struct {
		Index, Term, Revision uint64
		SizeBytes             int64 `json:"size_bytes"`
	}
	r := from.call(http.MethodPost, "/v1/snapshots", nil)
	if err := r.decode(http.StatusCreated, &taken); err != nil {
		t.Fatal(err)
	}
	if at := r.header.Get("Location"); at != "/v1/snapshots/latest" {
		t.Errorf("Location %q", at)
	}
	status := from.mustStatus()
	if taken.Index == 0 || taken.Index > status.AppliedIndex || taken.Term != status.Term || taken.Revision != status.Revision || taken.SizeBytes == 0 {
		t.Errorf("taken: %+v; the member's status: %+v", taken, status)
	}
	leader.put("k", "after")
	leader.put("later", "x")

	file := filepath.Join(t.TempDir(), "backup")
	fetchInPieces(t, from, file, fmt.Sprintf(`"%d-%d"`, taken.Index, taken.Term), taken.SizeBytes)

	code, out := runToEnd(t, exec.Command(kvdBinary, "snapshot", "inspect", file))
	if code != 0 {
		t.Errorf("inspect: exit code %d: %s", code, out)
	}
	for _, want := range []string{fmt.Sprint(taken.Revision), status.ClusterID, from.peerURL} {
		if !strings.Contains(out, want) {
			t.Errorf("inspect does not say %s: %s", want, out)
		}
	}
	bad := filepath.Join(t.TempDir(), "bad")
	copyFile(t, file, bad)
	flip(t, bad, taken.SizeBytes/2)
	if code, out := runToEnd(t, exec.Command(kvdBinary, "snapshot", "inspect", bad)); code == 0 || !strings.Contains(out, "checksum") && !strings.Contains(out, "damaged") {
		t.Errorf("inspect of a damaged file: exit code %d: %s", code, out)
	}

	// The old cluster lives on: the new one must not be taken for it.
	one := newMember(t, 0)
	if code, out := runToEnd(t, exec.Command(kvdBinary, "restore", file, "--data-dir", one.dir)); code != 0 {
		t.Fatalf("restore: exit code %d: %s", code, out)
	} else {
		t.Logf("restore: %s", strings.TrimSpace(out))
	}
	one.args = []string{"--tick", "20ms"}
	one.start()
	one.waitReady(20 * time.Second)
	one.id = one.mustStatus().ID
	if s := one.mustStatus(); s.ClusterID == status.ClusterID || s.Revision < taken.Revision || len(s.VoterIDs) != 1 || s.ID <= 3 {
		t.Errorf("the restored cluster: %+v, was %+v", s, status)
	}
	one.wantValue("k", "before")
	if r := one.call(http.MethodGet, "/v1/kv/later", nil); r.status != http.StatusNotFound {
		t.Errorf("what came after the snapshot: %d %s", r.status, r.body)
	}
	if r := one.call(http.MethodGet, "/v1/leases/"+lease.ID, nil); r.status != http.StatusOK || !strings.Contains(string(r.body), "leased") {
		t.Errorf("the lease: %d %s", r.status, r.body)
	}
	if rev := one.put("k", "new"); rev <= taken.Revision {
		t.Errorf("revision %d after a snapshot at %d", rev, taken.Revision)
	}
	restored := &cluster{t: t, members: []*member{one}}
	for range 2 {
		m := newMember(t, 0, "--join", one.clientURL, "--tick", "20ms")
		m.start()
		m.waitReady(20 * time.Second)
		m.id = m.mustStatus().ID
		restored.members = append(restored.members, m)
	}
	for _, m := range restored.members {
		wantVoters(t, m, 3)
		m.wantValue("k", "new")
	}
	w.wantAll(restored.members...)
	leader.wantValue("k", "after")

	// A directory that is somebody's is not restored into.
	if code, out := runToEnd(t, exec.Command(kvdBinary, "restore", file, "--data-dir", one.dir)); code != 3 && code != 2 {
		t.Errorf("restore into a directory in use: exit code %d: %s", code, out)
	}
}

// fetchInPieces fetches the newest snapshot as a download that was cut and goes
// on, and checks it against the digest.
func fetchInPieces(t *testing.T, m *member, file, tag string, size int64) {
	t.Helper()
	const path = "/v1/snapshots/latest"
	whole := m.call(http.MethodGet, path, nil)
	if whole.status != http.StatusOK || whole.header.Get("ETag") != tag || int64(len(whole.body)) != size {
		t.Fatalf("GET: %d, ETag %s, %d bytes, want %s and %d", whole.status, whole.header.Get("ETag"), len(whole.body), tag, size)
	}
	sum := sha256.Sum256(whole.body)
	digest := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	if got := whole.header.Get("Content-Digest"); got != digest {
		t.Errorf("Content-Digest %s, want %s", got, digest)
	}
	if d := whole.header.Get("Content-Disposition"); !strings.Contains(d, "filename") {
		t.Errorf("Content-Disposition %q", d)
	}
	half := size / 2
	first := m.call(http.MethodGet, path, nil, "Range", fmt.Sprintf("bytes=0-%d", half-1))
	rest := m.call(http.MethodGet, path, nil, "Range", fmt.Sprintf("bytes=%d-", half), "If-Range", tag)
	for _, r := range []*response{first, rest} {
		if r.status != http.StatusPartialContent || r.header.Get("ETag") != tag {
			t.Fatalf("a range: %d, ETag %s", r.status, r.header.Get("ETag"))
		}
	}
	if r := m.call(http.MethodGet, path, nil, "Range", "bytes=10-", "If-Range", `"1-1"`); r.status != http.StatusOK {
		t.Errorf("a range of another file: %d, want 200 and all of this one", r.status)
	}
	if r := m.call(http.MethodGet, path, nil, "If-None-Match", tag); r.status != http.StatusNotModified {
		t.Errorf("If-None-Match: %d", r.status)
	}
	both := append(first.body, rest.body...)
	if sha256.Sum256(both) != sum {
		t.Error("the pieces are not the whole")
	}
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// When two of three members are lost for good, the third becomes a cluster of
// its own: after saying what that means, and only when told to.
func TestRecover(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	w := startWriters(t, "w/", 200, 2*time.Millisecond, goPutters(t, 2, c.members...)...)
	w.waitMore(10*time.Second, 200)
	w.stop()
	c.waitApplied(10 * time.Second)
	survivor := c.followers(c.leader())[0]
	was := survivor.mustStatus()
	for _, m := range c.members {
		m.kill()
	}
	before := readTree(t, survivor.dir)
	into := filepath.Join(t.TempDir(), "recovered")
	command := func(args ...string) *exec.Cmd {
		return exec.Command(kvdBinary, append([]string{"recover", "--data-dir", survivor.dir, "--into", into}, args...)...)
	}
	code, out := runToEnd(t, command())
	if code != 2 || !strings.Contains(out, "--yes") {
		t.Errorf("without --yes: exit code %d: %s", code, out)
	}
	t.Logf("its plan: %s", strings.TrimSpace(out))
	if _, err := os.Stat(into); err == nil {
		t.Error("without --yes it made the directory")
	}
	if code, out := runToEnd(t, command("--yes")); code != 0 {
		t.Fatalf("with --yes: exit code %d: %s", code, out)
	}
	sameTree(t, survivor.dir, before)
	survivor.dir = into
	survivor.args = []string{"--tick", "20ms"}
	survivor.id = 0 // it may have another
	survivor.start()
	survivor.waitReady(20 * time.Second)
	s := survivor.mustStatus()
	survivor.id = s.ID
	if len(s.VoterIDs) != 1 || s.Revision < was.Revision {
		t.Errorf("after recovery: %+v, before: %+v", s, was)
	}
	w.wantAll(survivor)
	if rev := survivor.put("k", "new"); rev <= was.Revision {
		t.Errorf("revision %d after %d", rev, was.Revision)
	}

	// Those that were lost and come back all the same are strangers now.
	lost := c.followers(survivor)[0]
	lost.start()
	waitFor(t, 5*time.Second, "the lost member answers", func() error { _, err := lost.status(); return err })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if r, err := send(ctx, http.MethodPut, lost.clientURL+"/v1/kv/k?timeout=1s", []byte("old")); err == nil && r.status < 300 {
		t.Errorf("a lost member that came back writes: %d %s", r.status, r.body)
	}
	lost.kill()
	fresh := newMember(t, 0, "--join", survivor.clientURL, "--tick", "20ms")
	fresh.start()
	fresh.waitReady(20 * time.Second)
	wantVoters(t, survivor, 2)
	fresh.wantValue("k", "new")
	w.wantAll(fresh)
}
