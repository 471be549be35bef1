package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

// journal keeps the order of what parts do.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, s)
}

// obedient returns a part that ends when it is asked.
func (j *journal) obedient(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		j.add(name)
		return nil
	}
}

func TestStackStopsFromTheTop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		s := newStack(3)
		for _, name := range []string{"bottom", "middle", "top"} {
			s.start(ctx, name, j.obedient(name))
		}
		cancel()
		synctest.Wait()
		if len(j.lines) != 0 {
			t.Fatalf("%q ended with the context they were started with", j.lines)
		}
		if err := s.stop(errors.New("enough")); err != nil {
			t.Fatalf("stop = %v", err)
		}
		if want := []string{"top", "middle", "bottom"}; !slices.Equal(j.lines, want) {
			t.Errorf("order = %q, want %q", j.lines, want)
		}
	})
}

func TestStackTellsWhoFailed(t *testing.T) {
	errBroken := errors.New("broken")
	for _, tt := range []struct {
		name string
		run  func(context.Context) error
		want error
	}{
		{"with an error", func(context.Context) error { return errBroken }, errBroken},
		{"by ending early", func(context.Context) error { return nil }, errEndedEarly},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var j journal
			s := newStack(2)
			s.start(t.Context(), "good", j.obedient("good"))
			s.start(t.Context(), "bad", tt.run)
			p := <-s.failed
			if p.name != "bad" || !errors.Is(p.err, tt.want) {
				t.Errorf("failed: %s: %v, want bad: %v", p.name, p.err, tt.want)
			}
			if err := s.stop(p.err); err != nil || !slices.Equal(j.lines, []string{"good"}) {
				t.Errorf("stop = %v, ended %q", err, j.lines)
			}
		})
	}
}

// A part that fails while one above it still drains is a reason not to wait.
func TestStackStopIsCutShortByAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		errDisk := errors.New("disk gone")
		fail, release := make(chan struct{}), make(chan struct{})
		s := newStack(2)
		s.start(t.Context(), "raft", func(context.Context) error {
			<-fail
			return errDisk
		})
		s.start(t.Context(), "server", func(context.Context) error {
			<-release // drains
			return nil
		})
		stopped := make(chan error, 1)
		go func() { stopped <- s.stop(errors.New("enough")) }()
		synctest.Wait()
		close(fail)
		if err := <-stopped; !errors.Is(err, errDisk) {
			t.Errorf("stop = %v, want %v", err, errDisk)
		}
		close(release)
	})
}

func TestStackWait(t *testing.T) {
	s := newStack(1)
	if p := s.wait(func() {}); p != nil {
		t.Errorf("wait = %v, want nil", p)
	}
	release := make(chan struct{})
	defer close(release)
	s.start(t.Context(), "bad", func(context.Context) error { return nil })
	if p := s.wait(func() { <-release }); p == nil || p.name != "bad" {
		t.Errorf("wait = %v, want the part that failed", p)
	}
}
