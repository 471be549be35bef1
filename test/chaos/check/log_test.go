package check

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// dumpFileOf writes a dump of a member: from a snapshot to a commit index, a put
// of "k" = "v<index>" in each entry, but for the one at odd, which has a value of
// its own.
func dumpFileOf(t *testing.T, member, snapshot, commit, odd uint64) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `{"header":{"member":%d,"commit":%d,"last_index":%d,"snapshot_index":%d,"revision":%d,"compacted_revision":0,"log_clock":"%ds"}}`+"\n",
		member, commit, commit, snapshot, snapshot, snapshot)
	for i := uint64(1); i <= snapshot; i++ {
		fmt.Fprintf(&b, `{"change":{"type":"put","key":"k","value":"v%d","mod_revision":%d,"create_revision":1,"version":%d}}`+"\n", i, i, i)
	}
	for i := snapshot + 1; i <= commit; i++ {
		value, code := fmt.Sprint("v", i), "replaced"
		if i == odd {
			value = "odd"
		}
		if i == 1 {
			code = "created"
		}
		fmt.Fprintf(&b, `{"entry":{"index":%d,"term":1,"kind":"commands","log_clock":"%ds","commands":[{"command":"put","key":"k","value":%q,"result":{"code":%q,"revision":%d,"mod_revision":%d}}]}}`+"\n",
			i, i, value, code, i, i)
	}
	fmt.Fprintf(&b, `{"end":{"entries":%d,"revision":%d}}`+"\n", commit-snapshot, commit)
	return writeText(t, b.String())
}

func writeText(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "dump.jsonl")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestMerge(t *testing.T) {
	for _, tt := range []struct {
		name        string
		dumps       []string
		first, last uint64 // entries
		from        uint64 // first revision of which the command is known
		part        string // of the violation; empty: none
	}{
		{"one", []string{dumpFileOf(t, 1, 0, 9, 0)}, 1, 9, 1, ""},
		{"the same", []string{dumpFileOf(t, 1, 0, 9, 0), dumpFileOf(t, 2, 0, 9, 0)}, 1, 9, 1, ""},
		{"one goes on", []string{dumpFileOf(t, 1, 3, 9, 0), dumpFileOf(t, 2, 0, 5, 0)}, 1, 9, 1, ""},
		{"one is too short to lead on", []string{dumpFileOf(t, 1, 5, 9, 0), dumpFileOf(t, 2, 0, 3, 0)}, 6, 9, 6, ""},
		{"three in a chain", []string{dumpFileOf(t, 1, 6, 9, 0), dumpFileOf(t, 2, 0, 4, 0), dumpFileOf(t, 3, 3, 7, 0)}, 1, 9, 1, ""},
		{"other entries", []string{dumpFileOf(t, 1, 0, 9, 0), dumpFileOf(t, 2, 2, 9, 4)}, 1, 9, 1, "members 1 and 2 have committed different entries at log index 4"},
		{"other entries of one that leads nowhere", []string{dumpFileOf(t, 1, 5, 9, 0), dumpFileOf(t, 2, 0, 3, 0), dumpFileOf(t, 3, 0, 2, 2)}, 6, 9, 6,
			"members 2 and 3 have committed different entries at log index 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, r, err := Merge(tt.dumps...)
			if err != nil {
				t.Fatal(err)
			}
			if uint64(r.Skipped) != tt.first-1 {
				t.Errorf("%d entries are not known, want %d", r.Skipped, tt.first-1)
			}
			if l.Entries[0].Index != tt.first || l.Entries[len(l.Entries)-1].Index != tt.last {
				t.Errorf("entries %d to %d, want %d to %d", l.Entries[0].Index, l.Entries[len(l.Entries)-1].Index, tt.first, tt.last)
			}
			switch {
			case tt.part == "" && r.Count > 0, tt.part != "" && r.Count == 0, tt.part != "" && !strings.Contains(r.Violations[0].What, tt.part):
				t.Errorf("violations %v, want %q", r.Violations, tt.part)
			}
			p := NewReplay(l)
			if p.Result.Count > 0 || p.Last != tt.last || p.From != 0 {
				t.Errorf("replay from %d to %d: %v", p.From, p.Last, p.Result.Violations)
			}
			for revision := uint64(1); revision <= tt.last; revision++ {
				if known := p.Rev(revision).Command != nil; known != (revision >= tt.from) {
					t.Errorf("the command of revision %d is known: %t", revision, known)
				}
				if v := p.Get("k", revision); v == nil || v.Version != revision || v.Value != fmt.Sprint("v", revision) {
					t.Errorf("at revision %d there was %v", revision, v)
				}
			}
		})
	}
}

func TestMergeRefuses(t *testing.T) {
	whole, err := os.ReadFile(dumpFileOf(t, 1, 0, 3, 0))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(whole), "\n")
	for name, text := range map[string]string{
		"empty":            "",
		"no header":        strings.Join(lines[1:], ""),
		"no end":           strings.Join(lines[:4], ""),
		"an entry missing": strings.Join(append(lines[:1:1], lines[2:]...), ""),
		"cut":              string(whole[:len(whole)-20]),
		"an entry twice":   strings.Join(append(append(lines[:2:2], lines[1]), lines[2:]...), ""),
	} {
		if _, _, err := Merge(writeText(t, text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, _, err := Merge(); err == nil {
		t.Error("no dump is no error")
	}
}

// What a dump says comes through: bytes that are no text, long values, times.
func TestDecodeCommand(t *testing.T) {
	l, _, err := Merge(writeText(t, `{"header":{"member":1,"commit":1,"log_clock":"0s"}}
{"lease":{"id":"00000000000000aa","ttl":"3s","deadline":"1m4s"}}
{"request":{"idempotency_key":"i","fingerprint":"f","log_clock":"2s","result":{"code":"created","revision":4}}}
{"entry":{"index":1,"term":2,"kind":"commands","log_clock":"1.5s","commands":[
 {"command":"put","key_base64":"/w==","value_base64":"/v4=","ttl":"1h0m0s","if":"revision","if_revision":7,"idempotency_key":"i","fingerprint":"g","result":{"code":"idempotency mismatch","revision":0}},
 {"command":"delete_range","key":"a/","end":"a0","result":{"code":"not found"}},
 {"command":"txn","txn":{"if":[{"key":"k","target":"value","op":"ne","value":"x"},{"key":"k","target":"lease","op":"eq","lease":"00000000000000aa"}],
  "then":[{"op":"range","key":"a","limit":3,"reverse":true}],"else":[{"op":"put","key":"b","value":"c","lease":"00000000000000aa"}]},"result":{"code":"transaction applied","succeeded":false}}]}}
{"end":{"entries":1,"revision":0}}
`))
	if err != nil {
		t.Fatal(err)
	}
	e := l.Entries[0]
	put, span, txn := e.Commands[0], e.Commands[1], e.Commands[2]
	if e.Term != 2 || time.Duration(e.LogClock) != 1500*time.Millisecond || time.Duration(l.Leases[0].Deadline) != 64*time.Second || l.Requests[0].Result.Revision != 4 {
		t.Errorf("entry %+v, lease %+v, request %+v", e, l.Leases[0], l.Requests[0])
	}
	if put.Key != "\xff" || !strings.HasPrefix(put.Value, "#2:") || put.TTL != time.Hour || put.If != "revision" || put.IfRevision != 7 || put.Fingerprint != "g" {
		t.Errorf("put %+v", put)
	}
	if span.Key != "a/" || span.End != "a0" || !span.HasEnd || put.HasEnd {
		t.Errorf("range %+v", span)
	}
	x := txn.Txn
	if x.If[0].Text != "x" || x.If[1].Text != "00000000000000aa" || !x.Then[0].Reverse || x.Then[0].Limit != 3 || x.Else[0].Lease != "00000000000000aa" ||
		txn.Result.Succeeded == nil || *txn.Result.Succeeded {
		t.Errorf("transaction %+v, result %+v", x, txn.Result)
	}
	// The lease is there and k is not: nothing holds, and b is put with the lease.
	if p := NewReplay(l); p.Last != 1 || p.Get("b", 1) == nil || p.Result.Count != 1 {
		t.Errorf("replay to %d: %v", p.Last, p.Result.Violations)
	}
}

// A command that changes something where it should not is one violation, and not
// one for each command that follows.
func TestReplayGoesOn(t *testing.T) {
	w := goodRun(t)
	after := false
	for _, e := range w.log.Entries {
		for _, c := range e.Commands {
			if after {
				c.Result.Revision++
				if c.IfRevision > 0 {
					c.IfRevision++
				}
				if c.Result.ModRevision > 0 {
					c.Result.ModRevision++
				}
			}
			if c == w.cmd["delete nothing"] {
				c.Result.Code, c.Result.Revision, after = "deleted", c.Result.Revision+1, true
			}
		}
	}
	last := w.replay().Last
	r := w.replay().Result
	if r.Count != 1 || last != w.m.r.Last+1 || !strings.Contains(r.Violations[0].What, `delete "r/b"`) {
		t.Errorf("it ends at revision %d, violations %v", last, r.Violations)
	}
}
