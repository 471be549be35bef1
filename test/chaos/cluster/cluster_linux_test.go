package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// What a run left behind is known by the process that is gone.
func TestOwnerGone(t *testing.T) {
	p, err := StartProcess("true", filepath.Join(t.TempDir(), "log"), "true")
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done
	for _, test := range []struct {
		name string
		want bool
	}{
		{fmt.Sprintf("%s%d-3", prefix, p.PID()), true},
		{fmt.Sprintf("%s%d-3", prefix, os.Getpid()), false},
		{prefix + "x-3", false},
		{"other", false},
	} {
		if got := ownerGone(test.name); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// A process is stopped, goes on, and ends, and each of these can be seen.
func TestProcess(t *testing.T) {
	p, err := StartProcess("sleep", filepath.Join(t.TempDir(), "log"), "sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Signal(syscall.SIGKILL)
		<-p.Done
	})
	become := func(want string) {
		t.Helper()
		err := Poll(t.Context(), 5*time.Second, func() error {
			state, err := p.State()
			if err == nil && state != want {
				err = fmt.Errorf("state %s, want %s", state, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	become("S")
	p.Signal(syscall.SIGSTOP)
	become("T")
	p.Signal(syscall.SIGCONT)
	become("S")
	if _, _, err := p.Exit(t.Context(), time.Millisecond); err == nil || !p.Running() {
		t.Errorf("it runs, and its end was told: %v", err)
	}
	p.Signal(syscall.SIGKILL)
	code, signal, err := p.Exit(t.Context(), 5*time.Second)
	if code != -1 || signal != syscall.SIGKILL || err != nil || p.Running() {
		t.Errorf("got %d, %v, %v", code, signal, err)
	}
}

// Poll ends with the last error, at its limit or with its context.
func TestPoll(t *testing.T) {
	broken := errors.New("broken")
	n := 0
	if err := Poll(t.Context(), time.Minute, func() error {
		if n++; n < 3 {
			return broken
		}
		return nil
	}); err != nil || n != 3 {
		t.Errorf("got %v after %d tries", err, n)
	}
	if err := Poll(t.Context(), time.Millisecond, func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("at the limit: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Poll(ctx, time.Minute, func() error { return broken }); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: got %v", err)
	}
}

// A place that nobody has is given away once, and comes back with a dismissal.
func TestPlaces(t *testing.T) {
	c, err := New(Config{Members: 2, Spare: 1, Logs: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Close left %s: %v", c.Dir(), err)
		}
	})
	var ms []*Member
	for range 3 {
		p := c.freePlace()
		if p == nil {
			t.Fatal("no place is free")
		}
		m := c.newMember(p)
		c.Admit(m)
		ms = append(ms, m)
	}
	if c.freePlace() != nil {
		t.Error("three members have three places, and one is free")
	}
	if err := c.Dismiss(t.Context(), ms[1]); err != nil {
		t.Fatal(err)
	}
	if p := c.freePlace(); p != ms[1].Place {
		t.Errorf("free is %v, want %v", p, ms[1].Place)
	}
	again := c.newMember(ms[1].Place)
	if again.ID() != 4 || again.Dir == ms[1].Dir {
		t.Errorf("member %d in %s: ids and directories are not used twice", again.ID(), again.Dir)
	}
}

// What a member deletes of its log and its snapshots is there again at the end, also
// that of a member which was removed, and what was damaged is as it was before.
func TestKeep(t *testing.T) {
	c, err := New(Config{Members: 3, Logs: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	var stays, leaves, damaged *Member
	for _, m := range []**Member{&stays, &leaves, &damaged} {
		*m = c.newMember(c.freePlace())
		c.Admit(*m)
		for _, dir := range []string{"wal", "snap"} {
			if err := os.MkdirAll(filepath.Join((*m).Dir, dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := []*Member{stays, leaves, damaged}
	keep := func() {
		t.Helper()
		for _, m := range all {
			if err := m.keep(); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(name, text string) {
		t.Helper()
		for _, m := range all {
			if err := os.WriteFile(filepath.Join(m.Dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("wal/1.wal", "one")
	write("wal/0.tmp", "made in advance")
	write("snap/1.snap", "about one")
	write("snap/1.snap.db", "state one")
	keep()
	for _, m := range all {
		if err := errors.Join(os.Remove(filepath.Join(m.Dir, "wal/1.wal")), os.Remove(filepath.Join(m.Dir, "wal/0.tmp")),
			os.Remove(filepath.Join(m.Dir, "snap/1.snap")), os.Remove(filepath.Join(m.Dir, "snap/1.snap.db"))); err != nil {
			t.Fatal(err)
		}
	}
	write("wal/2.wal", "tw")
	keep()
	write("wal/2.wal", "two")
	write("snap/2.snap.db", "state two")
	file := filepath.Join(damaged.Dir, "wal/2.wal")
	if err := errors.Join(damaged.Part(file), os.WriteFile(file, []byte("damaged"), 0o600)); err != nil {
		t.Fatal(err)
	}
	keep()
	if b, err := os.ReadFile(file); err != nil || string(b) != "damaged" {
		t.Errorf("the member has %q, %v", b, err)
	}
	if err := errors.Join(c.Dismiss(t.Context(), leaves), c.Dismiss(t.Context(), damaged)); err != nil {
		t.Fatal(err)
	}
	dirs, err := c.DataDirs()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{leaves.Dir, damaged.Dir, stays.Dir}; !slices.Equal(dirs, want) {
		t.Errorf("got %v, want %v", dirs, want)
	}
	for _, dir := range dirs {
		got := map[string]string{}
		for _, pattern := range []string{"wal/*", "snap/*"} {
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				got[filepath.Base(file)] = string(b)
			}
		}
		want := map[string]string{"1.wal": "one", "1.snap": "about one", "1.snap.db": "state one", "2.wal": "two", "2.snap.db": "state two"}
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", dir, got, want)
		}
	}
	keep() // they are over, and nothing comes of it
	for _, m := range all {
		if _, err := os.Stat(m.kept()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", m.kept(), err)
		}
	}
}
