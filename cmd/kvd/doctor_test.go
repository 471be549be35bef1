package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A directory's life before the eyes of the doctor: in use, whole, torn, lost.
func TestDoctor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	m := start(t, "--data-dir", dir, "--name", "first", "--snapshot-entries", "5")
	for i := range 20 {
		m.do("PUT", fmt.Sprint("/v1/kv/", i), "x", http.StatusCreated)
	}
	var status string
	m.eventually("a snapshot", func() bool {
		_, status = m.once("GET", "/v1/status", "")
		return !strings.Contains(status, `"snapshot_index":0`)
	}, &status)
	r := runCommand(t.Context(), "doctor", dir)
	if r.code != exitDataDir || r.stdout != "" {
		t.Errorf("in use: exit code %d, %s", r.code, r.stdout)
	}
	r.wantOneLine(t, dir, fmt.Sprintf("in use by process %d", m.cmd.Process.Pid))
	m.signal(syscall.SIGKILL)
	m.wait()

	before := listing(t, dir)
	wantDoctor(t, dir, exitOK, "verdict", "fine", "member", "1 (first)", "snapshot", "watermark", "ok: index", m.client)
	if after := listing(t, dir); !slices.Equal(before, after) {
		t.Errorf("files were %q, now %q", before, after)
	}
	r = runCommand(t.Context(), "doctor", "--json", dir)
	var doc reportDocument
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil || r.code != exitOK {
		t.Fatalf("exit code %d, %v: %s", r.code, err, r.stdout)
	}
	if doc.Verdict != verdictFine || doc.Member != 1 || doc.Last < 20 || doc.Watermark.Index != doc.Last || doc.Watermark.Vote != 1 ||
		!slices.ContainsFunc(doc.Snapshots, func(s snapshotDocument) bool { return s.State == "ok" }) || len(doc.Members) != 1 || doc.Members[0].ClientURL != m.client || len(doc.Cluster) != 16 {
		t.Errorf("document %+v", doc)
	}

	logs, err := filepath.Glob(filepath.Join(dir, "wal", "*.wal"))
	if err != nil || len(logs) == 0 {
		t.Fatal(logs, err)
	}
	log := logs[len(logs)-1]
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	whole := len(strings.TrimRight(string(b), "\x00"))
	torn := slices.Clone(b)
	copy(torn[(whole+15)&^7:], "\xff\xff\xff\xff\xff\xff\xff\x7f") // behind all records
	write := func(b []byte) {
		t.Helper()
		if err := os.WriteFile(log, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(torn)
	wantDoctor(t, dir, exitOK)
	lost := slices.Clone(b)
	clear(lost[whole/2:])
	write(lost)
	wantDoctor(t, dir, exitDataDir, "unusable", log, "nothing was changed", "kvd restore "+filepath.Join(dir, "snap"), " --data-dir "+dir+".new", "kvd serve --join")

	r = runCommand(t.Context(), "doctor", filepath.Join(dir, "nowhere"))
	if r.code != exitDataDir {
		t.Errorf("no directory: exit code %d", r.code)
	}
	r.wantOneLine(t, "nowhere", "no such file")
	for _, args := range [][]string{{"doctor"}, {"doctor", "a", "b"}, {"doctor", "--nonsense", dir}} {
		if r := runCommand(t.Context(), args...); r.code != exitUsage || r.stdout != "" {
			t.Errorf("%q: exit code %d, %s", args, r.code, r.stdout)
		}
	}
	wantDoctor(t, t.TempDir(), exitOK, "new", "nothing was ever stored")
}

func wantDoctor(t *testing.T, dir string, code int, want ...string) {
	t.Helper()
	r := runCommand(t.Context(), "doctor", dir)
	if r.code != code {
		t.Errorf("exit code = %d, want %d: %s%s", r.code, code, r.stdout, r.stderr)
	}
	for _, w := range want {
		if !strings.Contains(r.stdout, w) {
			t.Errorf("report lacks %q:\n%s", w, r.stdout)
		}
	}
}

// TestDoctorKnowsEveryFile: whoever is told that a file is left over deletes it,
// and a founder without its founding file could not tell the others who it is.
func TestDoctorKnowsEveryFile(t *testing.T) {
	dir := t.TempDir()
	m := start(t, "--data-dir", dir)
	m.do("PUT", "/v1/kv/a", "x", http.StatusCreated)
	m.shutdown()
	r := runCommand(t.Context(), "doctor", dir)
	if r.code != exitOK || strings.Contains(r.stdout, "leftover") {
		t.Errorf("exit code %d:\n%s", r.code, r.stdout)
	}
}
