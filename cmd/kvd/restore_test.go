package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// snapshotOf runs a member that takes a snapshot of keys 0 to 19 and one that
// was deleted, and returns a copy of the file.
func snapshotOf(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	m := start(t, "--data-dir", dir, "--id", "4", "--snapshot-entries", "5")
	for i := range 20 {
		m.do("PUT", fmt.Sprint("/v1/kv/", i), "x", http.StatusCreated)
	}
	m.do("DELETE", "/v1/kv/0", "", http.StatusNoContent)
	// A file that the log knows of, and that has the delete in it.
	var last string
	m.eventually("a snapshot of revision 21", func() bool {
		m.do("PUT", "/v1/kv/1", "x", http.StatusNoContent)
		files, err := filepath.Glob(filepath.Join(dir, "snap", "*.snap.db"))
		if err != nil || len(files) == 0 {
			return false
		}
		r := runCommand(t.Context(), "snapshot", "inspect", "--json", slices.Max(files))
		last = r.stdout + r.stderr
		var doc contentsDocument
		if json.Unmarshal([]byte(r.stdout), &doc) != nil || doc.Revision < 21 {
			return false
		}
		b, err := os.ReadFile(doc.File)
		last = filepath.Join(t.TempDir(), "backup.kvd")
		return err == nil && os.WriteFile(last, b, 0o600) == nil
	}, &last)
	m.shutdown()
	return last
}

func inspected(t *testing.T, file string) contentsDocument {
	t.Helper()
	r := runCommand(t.Context(), "snapshot", "inspect", "--json", file)
	var doc contentsDocument
	if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil || r.code != exitOK {
		t.Fatalf("exit code %d, %v: %s%s", r.code, err, r.stdout, r.stderr)
	}
	return doc
}

func TestInspect(t *testing.T) {
	file := snapshotOf(t)
	doc := inspected(t, file)
	if doc.Checksum != "ok" || doc.Keys != 19 || doc.Index < 20 || doc.Term == 0 || len(doc.Cluster) != 16 || len(doc.Members) != 1 || doc.Members[0].ID != 4 {
		t.Errorf("document %+v", doc)
	}
	r := runCommand(t.Context(), "snapshot", "inspect", file)
	for _, want := range []string{"checksum", "ok", "keys", "19 with", "voter", "member 4 (n4), peers at"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("report lacks %q:\n%s", want, r.stdout)
		}
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad")
	for at := 0; at < len(whole); at += 13 {
		for _, b := range [][]byte{whole[:at], slices.Concat(whole[:at], []byte{whole[at] ^ 8}, whole[at+1:])} {
			if err := os.WriteFile(bad, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if r := runCommand(t.Context(), "snapshot", "inspect", bad); r.code != exitDataDir || strings.Contains(r.stdout, "checksum  ok") {
				t.Fatalf("%d bytes damaged at %d: exit code %d, %s", len(b), at, r.code, r.stdout)
			}
		}
	}
	for _, args := range [][]string{{"snapshot"}, {"snapshot", "nonsense"}, {"snapshot", "inspect"}} {
		if r := runCommand(t.Context(), args...); r.code != exitUsage {
			t.Errorf("%q: exit code %d", args, r.code)
		}
	}
	for _, path := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		r := runCommand(t.Context(), "snapshot", "inspect", path)
		if r.code != exitDataDir {
			t.Errorf("%s: exit code %d", path, r.code)
		}
		r.wantOneLine(t, path)
	}
}

// A restored cluster serves what the file held, goes on from its revision, and
// grows.
func TestRestore(t *testing.T) {
	file := snapshotOf(t)
	doc := inspected(t, file)
	dir := filepath.Join(t.TempDir(), "a", "restored")
	r := runCommand(t.Context(), "restore", file, "--data-dir", dir, "--name", "again")
	if r.code != exitOK || r.stderr != "" || !strings.Contains(r.stdout, "kvd serve --data-dir "+dir) {
		t.Fatalf("restore: %+v", r)
	}
	wantDoctor(t, dir, exitOK, "fine", "5 (again)", "removed", "4")
	if names, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "*")); err != nil || len(names) != 1 {
		t.Errorf("left beside it: %v, %v", names, err)
	}

	peer := freeAddress(t)
	m := start(t, "--data-dir", dir, "--snapshot-entries", "5", "--listen-peer", peer)
	m.do("GET", "/v1/kv/0", "", http.StatusNotFound)
	for i := 1; i < 20; i++ {
		m.do("GET", fmt.Sprint("/v1/kv/", i), "", http.StatusOK)
	}
	if got := revisionOf(t, m); got != doc.Revision {
		t.Errorf("revision %d, want %d as in the file", got, doc.Revision)
	}
	m.do("PUT", "/v1/kv/new", "y", http.StatusCreated)
	if got := revisionOf(t, m); got != doc.Revision+1 {
		t.Errorf("revision %d after a write, want %d", got, doc.Revision+1)
	}
	var status struct {
		ID      uint64 `json:"id"`
		Cluster string `json:"cluster_id"`
		Term    uint64 `json:"term"`
	}
	if err := json.Unmarshal([]byte(m.do("GET", "/v1/status", "", http.StatusOK)), &status); err != nil ||
		status.ID != 5 || status.Cluster == doc.Cluster || status.Term <= doc.Term {
		t.Errorf("status %+v, %v; the file is of cluster %s, term %d", status, err, doc.Cluster, doc.Term)
	}

	second := start(t, "--data-dir", t.TempDir(), "--join", m.client)
	second.do("GET", "/v1/kv/new", "", http.StatusOK)
	waitForVoters(t, m, 2)
	second.shutdown()
	m.shutdown()
	m = start(t, "--data-dir", dir, "--listen-peer", peer)
	m.do("GET", "/v1/kv/new?consistency=stale", "", http.StatusOK)
	m.shutdown()
}

func revisionOf(t *testing.T, m *running) uint64 {
	t.Helper()
	var status struct {
		Revision uint64 `json:"revision"`
	}
	m.do("GET", "/v1/kv/1", "", http.StatusOK) // up to date
	if err := json.Unmarshal([]byte(m.do("GET", "/v1/status", "", http.StatusOK)), &status); err != nil {
		t.Fatal(err)
	}
	return status.Revision
}

func TestRestoreRefused(t *testing.T) {
	file := snapshotOf(t)
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, whole[:len(whole)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "new")
	for i, tt := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{file}, exitUsage, []string{"--data-dir", "missing"}},
		{[]string{file, "--data-dir", missing, "--name", "a b"}, exitUsage, []string{"--name"}},
		{[]string{file, "--data-dir", full}, exitDataDir, []string{full, "not empty"}},
		{[]string{file, "--data-dir", filepath.Join(full, "mine")}, exitDataDir, []string{"mine", "not a directory"}},
		{[]string{bad, "--data-dir", missing}, exitDataDir, []string{bad, "damaged"}},
		{[]string{missing, "--data-dir", missing}, exitDataDir, []string{"no such file"}},
	} {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			r := runCommand(t.Context(), append([]string{"restore"}, tt.args...)...)
			if r.code != tt.code {
				t.Errorf("exit code = %d, want %d", r.code, tt.code)
			}
			r.wantOneLine(t, tt.want...)
			wantAbsent(t, missing)
		})
	}
	if names, err := os.ReadDir(full); err != nil || len(names) != 1 {
		t.Errorf("files now: %v, %v", names, err)
	}
	empty := t.TempDir()
	if r := runCommand(t.Context(), "restore", file, "--data-dir", empty); r.code != exitOK {
		t.Errorf("into an empty directory: %+v", r)
	}
}
