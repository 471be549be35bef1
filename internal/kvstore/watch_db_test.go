package kvstore

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// lateLog is a log whose member hears of a put when it asks for news.
type lateLog struct {
	tb       testing.TB
	machine  *Machine
	barriers int
	err      error
}

func (l *lateLog) Propose(context.Context, []byte) (Result, error) { return Result{}, l.err }

func (l *lateLog) ReadBarrier(context.Context) error {
	l.barriers++
	if l.err == nil {
		apply(l.tb, l.machine, put("news", ""))
	}
	return l.err
}

func TestDBWatchBegins(t *testing.T) {
	for _, c := range []struct {
		name     string
		o        WatchOptions
		barriers int
		want     error
		begins   uint64
	}{
		{"from now", WatchOptions{FromNow: true}, 1, nil, 6},
		{"from now, as far as this member knows", WatchOptions{FromNow: true, Stale: true}, 0, nil, 5},
		{"from now, whatever else is said", WatchOptions{FromNow: true, Since: 99}, 1, nil, 6},
		{"from what is there", WatchOptions{Since: 4}, 0, nil, 4},
		{"from the newest", WatchOptions{Since: 5}, 0, nil, 5},
		{"from the newest that others know", WatchOptions{Since: 6}, 1, nil, 6},
		{"from one that nobody asked for", WatchOptions{Since: 6, Stale: true}, 0, ErrFutureRevision, 0},
		{"from the future", WatchOptions{Since: 7}, 1, ErrFutureRevision, 0},
		{"from the oldest", WatchOptions{Since: 3}, 0, nil, 3},
		{"from what is gone", WatchOptions{Since: 2}, 0, ErrCompacted, 0},
		{"from the beginning", WatchOptions{Stale: true}, 0, ErrCompacted, 0},
	} {
		m := NewMachine()
		apply(t, m, put("k", "1"), put("k", "2"), put("k", "3"), put("k", "4"), put("k", "5"), encodeCompact(3))
		log := &lateLog{tb: t, machine: m}
		w, err := NewDB(m, log).Watch(t.Context(), c.o)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || log.barriers != c.barriers {
			t.Errorf("%s: got %v after %d read barriers, want %v after %d", c.name, err, log.barriers, c.want, c.barriers)
		}
		if err == nil {
			if w.Progress() != c.begins || m.Watchers() != 1 {
				t.Errorf("%s: begins at %d, want %d; %d watchers", c.name, w.Progress(), c.begins, m.Watchers())
			}
			w.Close()
		}
		if m.Watchers() != 0 {
			t.Errorf("%s: %d watchers are left", c.name, m.Watchers())
		}
	}
}

func TestDBWatchPassesErrorsOn(t *testing.T) {
	log := &lateLog{tb: t, machine: NewMachine(), err: fmt.Errorf("ask: %w", ErrNoLeader)}
	db := NewDB(log.machine, log)
	for _, o := range []WatchOptions{{FromNow: true}, {Since: 1}} {
		if _, err := db.Watch(t.Context(), o); !errors.Is(err, ErrNoLeader) {
			t.Errorf("got %v", err)
		}
	}
	for _, o := range []WatchOptions{{FromNow: true, Stale: true}, {}} {
		w, err := db.Watch(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
	}
}
