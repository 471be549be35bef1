package kvstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"kvd/internal/kvstore"
)

// soloLog is a Log without replication: it applies at once, to one machine.
type soloLog struct {
	machine *kvstore.Machine

	mu       sync.Mutex
	index    uint64
	barriers int
	err      error // returned instead of doing anything
}

func (l *soloLog) Propose(_ context.Context, cmd []byte) (kvstore.Result, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return kvstore.Result{}, l.err
	}
	l.index++
	rs, err := l.machine.Apply(l.index, 0, [][]byte{cmd})
	if err != nil {
		return kvstore.Result{}, err
	}
	return rs[0], nil
}

func (l *soloLog) ReadBarrier(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.barriers++
	return l.err
}

func newDB() (*kvstore.DB, *soloLog) {
	m := kvstore.NewMachine()
	log := &soloLog{machine: m}
	return kvstore.NewDB(m, log), log
}

func TestDB(t *testing.T) {
	db, log := newDB()
	ctx := t.Context()
	key := []byte("key")

	got, err := db.Get(ctx, key, kvstore.GetOptions{})
	if err != nil || got.Found || got.Revision != 0 || got.Key != nil {
		t.Fatalf("get of nothing: %+v, %v", got, err)
	}
	value := []byte("\xff\xfe\x00A")
	r, err := db.Put(ctx, key, value, kvstore.PutOptions{ContentType: "image/x"})
	if err != nil || r.Code != kvstore.Created || r.Revision != 1 || r.ModRevision != 1 {
		t.Fatalf("put: %+v, %v", r, err)
	}
	value[0] = 'X' // the store has its own copy
	got, err = db.Get(ctx, key, kvstore.GetOptions{})
	if err != nil || !got.Found || string(got.Value) != "\xff\xfe\x00A" || got.ContentType != "image/x" || got.ModRevision != 1 || got.Revision != 1 {
		t.Fatalf("get: %+v, %v", got, err)
	}
	r, err = db.Put(ctx, key, nil, kvstore.PutOptions{Condition: kvstore.Condition{Kind: kvstore.IfRevision, Revision: 9}})
	if err != nil || r.Code != kvstore.ConditionFailed || r.ModRevision != 1 {
		t.Fatalf("put at a wrong revision: %+v, %v", r, err)
	}
	r, err = db.Delete(ctx, key, kvstore.DeleteOptions{Condition: kvstore.Condition{Kind: kvstore.IfRevision, Revision: 1}, WantPrev: true})
	if err != nil || r.Code != kvstore.Deleted || r.Revision != 2 || string(r.Prev.Value) != "\xff\xfe\x00A" {
		t.Fatalf("delete: %+v, %v", r, err)
	}
	if log.barriers != 2 {
		t.Fatalf("%d read barriers for 2 reads", log.barriers)
	}
}

func TestDBRefusesWithoutTheLog(t *testing.T) {
	db, log := newDB()
	ctx := t.Context()
	if _, err := db.Put(ctx, []byte("k"), nil, kvstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	long := make([]byte, kvstore.MaxKeyBytes+1)
	for name, write := range map[string]func() (kvstore.Result, error){
		"put without a key":   func() (kvstore.Result, error) { return db.Put(ctx, nil, nil, kvstore.PutOptions{}) },
		"put with a long key": func() (kvstore.Result, error) { return db.Put(ctx, long, nil, kvstore.PutOptions{}) },
		"put with a long type": func() (kvstore.Result, error) {
			return db.Put(ctx, []byte("k"), nil, kvstore.PutOptions{ContentType: string(long)})
		},
		"delete without a key":                func() (kvstore.Result, error) { return db.Delete(ctx, nil, kvstore.DeleteOptions{}) },
		"delete with a long key":              func() (kvstore.Result, error) { return db.Delete(ctx, long, kvstore.DeleteOptions{}) },
		"delete of a range with a long start": func() (kvstore.Result, error) { return db.DeleteRange(ctx, long, nil) },
		"delete of a range with a long end":   func() (kvstore.Result, error) { return db.DeleteRange(ctx, nil, long) },
		"put on a strange condition": func() (kvstore.Result, error) {
			return db.Put(ctx, []byte("k"), nil, kvstore.PutOptions{Condition: kvstore.Condition{Kind: 77}})
		},
	} {
		if r, err := write(); err != nil || r.Code != kvstore.BadCommand || r.Revision != 1 {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	if log.index > 2 {
		t.Errorf("%d commands went to the log", log.index-1)
	}
}

func TestDBPassesErrorsOn(t *testing.T) {
	db, log := newDB()
	ctx := t.Context()
	for _, want := range []error{kvstore.ErrNoLeader, kvstore.ErrStopping, kvstore.ErrOverloaded, kvstore.ErrOutcomeUnknown} {
		log.err = fmt.Errorf("propose: %w", want)
		_, put := db.Put(ctx, []byte("k"), nil, kvstore.PutOptions{})
		_, del := db.Delete(ctx, []byte("k"), kvstore.DeleteOptions{})
		_, get := db.Get(ctx, []byte("k"), kvstore.GetOptions{})
		_, delRange := db.DeleteRange(ctx, nil, nil)
		_, compact := db.Compact(ctx, 1)
		_, view := db.View(ctx, kvstore.ReadOptions{Revision: 1})
		for _, err := range []error{put, del, get, delRange, compact, view} {
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		if _, err := db.Get(ctx, []byte("k"), kvstore.GetOptions{Stale: true}); err != nil {
			t.Errorf("a stale read asked somebody: %v", err)
		}
	}
}

func TestDBReadsBesideWrites(t *testing.T) {
	db, _ := newDB()
	ctx := t.Context()
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 2_000 {
				if _, err := db.Put(ctx, fmt.Appendf(nil, "%d", i%500), fmt.Appendf(nil, "%d/%d", i%500, w), kvstore.PutOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			var last uint64
			for i := range 4_000 {
				key := fmt.Sprint(i % 500)
				got, err := db.Get(ctx, []byte(key), kvstore.GetOptions{})
				if err != nil || got.Revision < last || got.ModRevision > got.Revision {
					t.Errorf("read at revision %d after %d: %+v, %v", got.Revision, last, got, err)
				}
				if got.Found && string(got.Value[:len(key)+1]) != key+"/" {
					t.Errorf("key %s has value %s", key, got.Value)
				}
				last = got.Revision
			}
		})
	}
	wg.Wait()
}
