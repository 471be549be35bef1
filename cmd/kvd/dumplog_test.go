package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kvd/test/chaos/check"
)

// dumped is a dump that was read back.
type dumped struct {
	header   *dumpHeader
	items    []*dumpVersion
	changes  []*dumpVersion
	leases   []*dumpLease
	requests []*dumpRequest
	entries  []*dumpEntry
	end      *dumpEnd
}

// dumpOf runs dump-log --json.
func dumpOf(t *testing.T, args ...string) *dumped {
	t.Helper()
	r := runCommand(t.Context(), append([]string{"debug", "dump-log", "--json"}, args...)...)
	if r.code != exitOK {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	d := &dumped{}
	for dec := json.NewDecoder(strings.NewReader(r.stdout)); dec.More(); {
		var l dumpLine
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		switch {
		case l.Header != nil:
			d.header = l.Header
		case l.Item != nil:
			d.items = append(d.items, l.Item)
		case l.Change != nil:
			d.changes = append(d.changes, l.Change)
		case l.Lease != nil:
			d.leases = append(d.leases, l.Lease)
		case l.Request != nil:
			d.requests = append(d.requests, l.Request)
		case l.Entry != nil:
			d.entries = append(d.entries, l.Entry)
		case l.End != nil:
			d.end = l.End
		}
	}
	if d.header == nil || d.end == nil || d.end.Entries != len(d.entries) {
		t.Fatalf("%d entries, the end says %+v", len(d.entries), d.end)
	}
	return d
}

// commands are all commands of a dump but expiries and compactions, which the
// member gives by itself.
func (d *dumped) commands() (all []*dumpCommand) {
	for _, e := range d.entries {
		for _, c := range e.Commands {
			if c.Command != "expire" && c.Command != "compact" {
				all = append(all, c)
			}
		}
	}
	return all
}

// keyed sends a write with an idempotency key until it is answered.
func (r *running) keyed(method, path, key, body string, want int) {
	r.t.Helper()
	var got string
	r.eventually(fmt.Sprintf("%s %s → %d", method, path, want), func() bool {
		req, err := http.NewRequest(method, r.client+path, strings.NewReader(body))
		if err != nil {
			r.t.Fatal(err)
		}
		req.Header.Set("Idempotency-Key", key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			got = err.Error()
			return false
		}
		resp.Body.Close()
		got = resp.Status
		return resp.StatusCode == want
	}, &got)
}

// Everything that a member was asked is in its log, in order, with what it came
// to; and a dump leaves no trace.
func TestDumpLog(t *testing.T) {
	dir := t.TempDir()
	m := start(t, "--data-dir", dir, "--name", "first")
	m.do("PUT", "/v1/kv/a", "1", http.StatusCreated)
	m.do("PUT", "/v1/kv/%ff", "\xfe", http.StatusCreated)
	m.do("PUT", "/v1/kv/tmp/1?ttl=1h", strings.Repeat("x", 100), http.StatusCreated)
	m.keyed("PUT", "/v1/kv/a", "again", "2", http.StatusNoContent)
	m.keyed("PUT", "/v1/kv/a", "again", "2", http.StatusNoContent)
	m.do("POST", "/v1/txn", `{"if":[{"key":"a","value":{"eq":"2"}},{"key":"b","exists":false}],
		"then":[{"put":{"key":"b","value":"3"}},{"delete":{"prefix":"tmp/"}}],"else":[{"get":{"key":"a"}}]}`, http.StatusOK)
	var lease struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(m.do("POST", "/v1/leases", `{"ttl":"1h"}`, http.StatusCreated)), &lease); err != nil {
		t.Fatal(err)
	}
	m.do("PUT", "/v1/kv/c?lease="+lease.ID, "4", http.StatusCreated)
	m.do("DELETE", "/v1/leases/"+lease.ID, "", http.StatusNoContent)
	m.do("DELETE", "/v1/kv/a", "", http.StatusNoContent)
	m.do("POST", "/v1/verify", "", http.StatusOK)
	m.do("POST", "/v1/members", `{"id":7,"peer_url":"http://127.0.0.1:1","auto_promote":false}`, http.StatusCreated)
	r := runCommand(t.Context(), "debug", "dump-log", dir)
	if r.code != exitDataDir || r.stdout != "" {
		t.Errorf("in use: exit code %d, %s", r.code, r.stdout)
	}
	r.wantOneLine(t, dir, "in use by process")
	m.shutdown()

	before := listing(t, dir)
	d := dumpOf(t, dir)
	if after := listing(t, dir); !slices.Equal(before, after) {
		t.Errorf("files were %q, now %q", before, after)
	}
	h := d.header
	if h.Member != 1 || h.Name != "first" || len(h.Cluster) != 16 || h.SnapshotIndex != 0 || h.Commit != h.Last || len(d.items)+len(d.changes) > 0 {
		t.Errorf("header %+v, %d items", h, len(d.items))
	}
	var got []string
	for _, c := range d.commands() {
		got = append(got, fmt.Sprintf("%s → %s", c, c.Result))
	}
	want := []string{
		`put "a" = "1" → created, revision 1`,
		`put "\xff" = "\xfe" → created, revision 2`,
		fmt.Sprintf("put %q = %q… (100 bytes), ttl 1h0m0s → created, revision 3", "tmp/1", strings.Repeat("x", shownBytes)),
		`put "a" = "2", idempotency key again → replaced, revision 4`,
		`put "a" = "2", idempotency key again → replaced, revision 4, as the first time`,
		`txn if [value of "a" eq "2"; exists of "b" eq 0] then [put "b" = "3"; delete_range from "tmp/" to before "tmp0"] else [get "a"] → transaction applied (then), revision 5`,
		fmt.Sprintf("grant, ttl 1h0m0s → lease granted, lease %s, revision 5", lease.ID),
		fmt.Sprintf(`put "c" = "4", lease %s → created, revision 6`, lease.ID),
		fmt.Sprintf("revoke, lease %s → lease revoked, 1 keys, revision 7", lease.ID),
		`delete "a" → deleted, revision 8`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if d.end.Revision != 8 {
		t.Errorf("it ends at revision %d", d.end.Revision)
	}
	wantChanges(t, d, 5, `put "b"`, `delete "tmp/1"`)
	wantChanges(t, d, 7, `delete "c"`)
	wantVerdict(t, d)
	wantReplay(t, dir)
	if i := slices.IndexFunc(d.entries, func(e *dumpEntry) bool { return e.Kind == "change" && strings.Contains(e.Change, "add member 7") }); i < 0 {
		t.Error("no entry adds member 7")
	} else if e := d.entries[i]; e.Refused != "" || len(e.Members) != 2 || e.Members[1].Role != "learner" {
		t.Errorf("the change is %+v", e)
	}

	r = runCommand(t.Context(), "debug", "dump-log", dir)
	for _, part := range append(want, "member", "1 (first)", "none: the log begins with the first entry", "add member 7", `delete "c"`, "to revision 8") {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("the text lacks %q:\n%s", part, r.stdout)
		}
	}
}

// wantChanges wants the command of a revision to have these changes.
func wantChanges(t *testing.T, d *dumped, revision uint64, want ...string) {
	t.Helper()
	var got []string
	for _, c := range d.commands() {
		for _, v := range c.Changes {
			if v.ModRevision == revision {
				got = append(got, v.Type+" "+newShown(v.Key, v.KeyBase64))
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("changes of revision %d: %q, want %q", revision, got, want)
	}
}

// wantVerdict wants the hash of the replay at each check to be what the members
// agreed on.
func wantVerdict(t *testing.T, d *dumped) {
	t.Helper()
	hashes, verdicts := map[uint64]string{}, 0
	for _, e := range d.entries {
		if e.Kind == "check" {
			hashes[e.Index] = e.StateHash
		}
		if e.Kind != "verdict" {
			continue
		}
		var v struct{ Index, Hash uint64 }
		if err := json.Unmarshal(e.Detail, &v); err != nil {
			t.Fatal(err)
		}
		verdicts++
		if got, want := hashes[v.Index], fmt.Sprintf("%016x", v.Hash); got != want {
			t.Errorf("index %d: the replay has hash %q, the members had %s", v.Index, got, want)
		}
	}
	if verdicts == 0 {
		t.Error("the log has no verdict")
	}
}

// wantReplay wants the program that checks runs by their dumps to read this one,
// and to come to the same results with a model of its own.
func wantReplay(t *testing.T, dir string) {
	t.Helper()
	r := runCommand(t.Context(), "debug", "dump-log", "--json", dir)
	file := filepath.Join(t.TempDir(), "dump.jsonl")
	if err := os.WriteFile(file, []byte(r.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	l, _, err := check.Merge(file)
	if err != nil {
		t.Fatal(err)
	}
	replay, verdicts := check.NewReplay(l), check.Verdicts(l, false)
	if replay.Result.Judged == 0 || replay.Result.Count > 0 || verdicts.Judged == 0 || verdicts.Count > 0 {
		t.Errorf("replay %+v, verdicts %+v", replay.Result, verdicts)
	}
}

// What the snapshot holds comes first, and the entries go on from there.
func TestDumpLogBehindSnapshot(t *testing.T) {
	dir := t.TempDir()
	m := start(t, "--data-dir", dir)
	m.do("PUT", "/v1/kv/a", "1", http.StatusCreated)
	m.do("PUT", "/v1/kv/a", "2", http.StatusNoContent)
	m.keyed("PUT", "/v1/kv/b?ttl=1h", "once", "3", http.StatusCreated)
	m.do("POST", "/v1/compact", `{"revision":2}`, http.StatusOK)
	m.do("DELETE", "/v1/kv/a", "", http.StatusNoContent)
	m.do("POST", "/v1/leases", `{"ttl":"1h"}`, http.StatusCreated)
	m.do("POST", "/v1/snapshots", "", http.StatusCreated)
	m.do("POST", "/v1/snapshots", "", http.StatusCreated)
	m.keyed("PUT", "/v1/kv/b?ttl=1h", "once", "3", http.StatusCreated)
	m.do("PUT", "/v1/kv/d", "5", http.StatusCreated)
	m.do("POST", "/v1/verify", "", http.StatusOK)
	m.shutdown()

	// The log may still reach back to its first entry: make it begin behind the
	// snapshot, as it does on a member that got it from another.
	snaps, err := filepath.Glob(filepath.Join(dir, "snap", "*.snap.db"))
	if err != nil || len(snaps) == 0 {
		t.Fatal(snaps, err)
	}
	restored := filepath.Join(t.TempDir(), "restored")
	if r := runCommand(t.Context(), "restore", snaps[len(snaps)-1], "--data-dir", restored); r.code != exitOK {
		t.Fatal(r)
	}
	m = start(t, "--data-dir", restored)
	m.keyed("PUT", "/v1/kv/b?ttl=1h", "once", "3", http.StatusCreated)
	m.do("PUT", "/v1/kv/d", "5", http.StatusCreated)
	m.do("POST", "/v1/verify", "", http.StatusOK)
	m.shutdown()

	d := dumpOf(t, restored)
	if h := d.header; h.SnapshotIndex == 0 || h.Revision != 4 || h.Compacted != 2 {
		t.Errorf("header %+v", h)
	}
	if len(d.items) != 1 || *d.items[0].Key != "a" || *d.items[0].Value != "2" || d.items[0].Version != 2 {
		t.Errorf("items %+v", d.items)
	}
	if len(d.changes) != 2 || d.changes[0].Type != "put" || *d.changes[0].Key != "b" || d.changes[0].Deadline == "" ||
		d.changes[1].Type != "delete" || *d.changes[1].Key != "a" || d.changes[1].ModRevision != 4 {
		t.Errorf("changes %+v", d.changes)
	}
	if len(d.leases) != 1 || d.leases[0].TTL != "1h0m0s" {
		t.Errorf("leases %+v", d.leases)
	}
	if len(d.requests) != 1 || d.requests[0].IdempotencyKey != "once" || d.requests[0].Result.Revision != 3 {
		t.Errorf("requests %+v", d.requests)
	}
	cmds := d.commands()
	if len(cmds) != 2 || !cmds[0].Result.Replayed || cmds[0].Fingerprint != d.requests[0].Fingerprint || cmds[1].Result.Revision != 5 {
		t.Errorf("commands %s", cmds)
	}
	wantVerdict(t, d)
	wantReplay(t, restored)

	last := d.entries[len(d.entries)-1].Index
	part := dumpOf(t, restored, "--from", fmt.Sprint(last-1))
	if len(part.items)+len(part.changes) != 0 || len(part.entries) != 2 {
		t.Fatalf("from index %d: %d items, %d entries", last-1, len(part.items), len(part.entries))
	}
	a, _ := json.Marshal(part.entries)
	b, _ := json.Marshal(d.entries[len(d.entries)-2:])
	if !bytes.Equal(a, b) {
		t.Errorf("from index %d: %s, want %s", last-1, a, b)
	}
}

func TestDumpLogRefuses(t *testing.T) {
	empty := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
	}{
		{[]string{"debug"}, exitUsage},
		{[]string{"debug", "nonsense"}, exitUsage},
		{[]string{"debug", "dump-log"}, exitUsage},
		{[]string{"debug", "dump-log", "--from", "x", empty}, exitUsage},
		{[]string{"debug", "dump-log", empty}, exitDataDir},
		{[]string{"debug", "dump-log", filepath.Join(empty, "nowhere")}, exitDataDir},
	} {
		r := runCommand(t.Context(), tt.args...)
		if r.code != tt.code || r.stdout != "" {
			t.Errorf("%q: exit code %d, %s", tt.args, r.code, r.stdout)
		}
		r.wantOneLine(t)
	}
	if files := listing(t, empty); len(files) != 0 {
		t.Errorf("it left %q", files)
	}
}
