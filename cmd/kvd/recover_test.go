package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Two of three members are gone for good. The third goes on alone with all that
// it had, takes writes, and finds new company.
func TestRecover(t *testing.T) {
	home := t.TempDir()
	founders, places := foundingArgs(t, 3), map[int][]string{}
	for id, args := range founders {
		places[id] = append(args[:len(args):len(args)], "--data-dir", filepath.Join(home, fmt.Sprint(id)), "--snapshot-entries", "7")
	}
	members := startTogether(t, places)
	for i := range 20 {
		members[1].do("PUT", fmt.Sprint("/v1/kv/", i), "x", http.StatusCreated)
	}
	revision := revisionOf(t, members[2]) // it has all of it
	for _, m := range members {
		m.signal(syscall.SIGKILL)
		m.wait()
	}

	dir, into := filepath.Join(home, "2"), filepath.Join(home, "recovered")
	before := listing(t, dir)
	r := runCommand(t.Context(), "recover", "--data-dir", dir, "--into", into)
	if r.code != exitUsage {
		t.Errorf("exit code %d without --yes", r.code)
	}
	r.wantOneLine(t, "nothing was done", "kvd recover --data-dir "+dir+" --into "+into+" --yes")
	for _, want := range []string{
		"member 2 (n2)", "ends at index", "known to be committed", "Member 1 (n1, http://", "Member 3 (n3, http://", "is not changed",
		"Writes that the others acknowledged and this member never received are lost", "must never be started again",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("plan lacks %q:\n%s", want, r.stdout)
		}
	}
	wantAbsent(t, into)

	r = runCommand(t.Context(), "recover", "--data-dir", dir, "--into", into, "--yes")
	if r.code != exitOK || !strings.Contains(r.stdout, "kvd serve --data-dir "+into) {
		t.Fatalf("recover: %+v", r)
	}
	if after := listing(t, dir); !slices.Equal(before, after) {
		t.Errorf("files were %q, now %q", before, after)
	}
	wantDoctor(t, into, exitOK, "fine", "2 (n2)", "removed", "1 3")

	m := start(t, "--data-dir", into, "--listen-peer", founders[2][len(founders[2])-1])
	for i := range 20 {
		m.do("GET", fmt.Sprint("/v1/kv/", i), "", http.StatusOK)
	}
	if got := revisionOf(t, m); got != revision {
		t.Errorf("revision %d, want %d", got, revision)
	}
	m.do("PUT", "/v1/kv/new", "y", http.StatusCreated)
	// A member of the old cluster, started against the rules, finds nobody.
	old := start(t, append(founders[3], "--data-dir", filepath.Join(home, "3"))...)
	second := start(t, "--data-dir", t.TempDir(), "--join", m.client)
	second.do("GET", "/v1/kv/new", "", http.StatusOK)
	waitForVoters(t, m, 2)
	if status, answer := old.once("GET", "/readyz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("member of the old cluster: %d %s", status, answer)
	}
}

func TestRecoverRefused(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"--into", "x"}, exitUsage, []string{"--data-dir", "missing"}},
		{[]string{"--data-dir", dir}, exitUsage, []string{"--into", "missing"}},
		{[]string{"--data-dir", dir, "--into", "x", "now"}, exitUsage, []string{"now"}},
		{[]string{"--data-dir", dir, "--into", filepath.Join(dir, "x"), "--yes"}, exitDataDir, []string{dir, "no log"}},
	} {
		r := runCommand(t.Context(), append([]string{"recover"}, tt.args...)...)
		if r.code != tt.code {
			t.Errorf("%q: exit code = %d, want %d", tt.args, r.code, tt.code)
		}
		r.wantOneLine(t, tt.want...)
	}
}
