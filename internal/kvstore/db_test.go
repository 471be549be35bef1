package kvstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

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
		"delete of a range with a long start": func() (kvstore.Result, error) { return db.DeleteRange(ctx, long, nil, kvstore.WriteOptions{}) },
		"delete of a range with a long end":   func() (kvstore.Result, error) { return db.DeleteRange(ctx, nil, long, kvstore.WriteOptions{}) },
		"put with too short a TTL": func() (kvstore.Result, error) {
			return db.Put(ctx, []byte("k"), nil, kvstore.PutOptions{TTL: kvstore.MinTTL - 1})
		},
		"put with too long a TTL": func() (kvstore.Result, error) {
			return db.Put(ctx, []byte("k"), nil, kvstore.PutOptions{TTL: kvstore.MaxTTL + 1})
		},
		"put with a TTL and a lease": func() (kvstore.Result, error) {
			return db.Put(ctx, []byte("k"), nil, kvstore.PutOptions{TTL: kvstore.MinTTL, Lease: 1})
		},
		"put with a long idempotency key": func() (kvstore.Result, error) {
			return db.Put(ctx, []byte("k"), nil, kvstore.PutOptions{IdempotencyKey: string(long[:129])})
		},
		"delete with a long idempotency key": func() (kvstore.Result, error) {
			return db.Delete(ctx, []byte("k"), kvstore.DeleteOptions{IdempotencyKey: string(long[:129])})
		},
		"grant with a long idempotency key": func() (kvstore.Result, error) {
			return db.GrantLease(ctx, kvstore.MinTTL, kvstore.WriteOptions{IdempotencyKey: string(long[:129])})
		},
		"grant of no time": func() (kvstore.Result, error) { return db.GrantLease(ctx, 0, kvstore.WriteOptions{}) },
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
		_, delRange := db.DeleteRange(ctx, nil, nil, kvstore.WriteOptions{})
		_, compact := db.Compact(ctx, 1, kvstore.WriteOptions{})
		_, view := db.View(ctx, kvstore.ReadOptions{Revision: 1})
		_, grant := db.GrantLease(ctx, kvstore.MinTTL, kvstore.WriteOptions{})
		_, keep := db.KeepAlive(ctx, 1, kvstore.WriteOptions{})
		_, revoke := db.RevokeLease(ctx, 1, kvstore.WriteOptions{})
		_, expire := db.Expire(ctx)
		_, txn := db.Txn(ctx, kvstore.Txn{}, kvstore.WriteOptions{})
		_, _, lease := db.Lease(ctx, 1, kvstore.ReadOptions{})
		_, leases := db.Leases(ctx, kvstore.ReadOptions{})
		_, _, request := db.Request(ctx, "id", kvstore.ReadOptions{})
		for _, err := range []error{put, del, get, delRange, compact, view, grant, keep, revoke, expire, txn, lease, leases, request} {
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		if _, err := db.Get(ctx, []byte("k"), kvstore.GetOptions{Stale: true}); err != nil {
			t.Errorf("a stale read asked somebody: %v", err)
		}
	}
}

func TestDBTxnRefusesWithoutTheLog(t *testing.T) {
	db, log := newDB()
	r, err := db.Txn(t.Context(), kvstore.Txn{Then: []kvstore.Op{{Kind: kvstore.OpPut}}}, kvstore.WriteOptions{})
	if !errors.Is(err, kvstore.ErrBadTxn) || r != (kvstore.Result{}) || log.index != 0 {
		t.Errorf("got %+v, %v, after %d commands", r, err, log.index)
	}
}

func TestDBLeases(t *testing.T) {
	db, log := newDB()
	ctx := t.Context()
	stale := kvstore.ReadOptions{Stale: true}
	if all, err := db.Leases(ctx, stale); err != nil || len(all) != 0 {
		t.Fatalf("none granted: %+v, %v", all, err)
	}
	long, err := db.GrantLease(ctx, time.Hour, kvstore.WriteOptions{IdempotencyKey: "grant"})
	if err != nil || long.Code != kvstore.LeaseGranted || long.TTL != time.Hour {
		t.Fatalf("grant: %+v, %v", long, err)
	}
	if again, err := db.GrantLease(ctx, time.Hour, kvstore.WriteOptions{IdempotencyKey: "grant"}); err != nil || !again.Replayed || again.Lease != long.Lease {
		t.Fatalf("grant again: %+v, %v", again, err)
	}
	short, err := db.GrantLease(ctx, time.Minute, kvstore.WriteOptions{})
	if err != nil || short.Lease == long.Lease {
		t.Fatalf("grant: %+v, %v", short, err)
	}
	for _, key := range []string{"b", "a"} {
		if _, err := db.Put(ctx, []byte(key), nil, kvstore.PutOptions{Lease: long.Lease}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := db.Get(ctx, []byte("a"), kvstore.GetOptions{})
	if err != nil || got.Lease != long.Lease || got.TTL != 0 {
		t.Errorf("get: %+v, %v", got, err)
	}
	l, found, err := db.Lease(ctx, long.Lease, kvstore.ReadOptions{MinRevision: 2})
	if err != nil || !found || l.ID != long.Lease || l.TTL != time.Hour || l.Deadline != time.Hour || fmt.Sprintf("%s", l.Keys) != "[a b]" {
		t.Errorf("lease: %+v, %v, %v", l, found, err)
	}
	if l, found, err := db.Lease(ctx, short.Lease, kvstore.ReadOptions{}); err != nil || !found || l.Keys == nil || len(l.Keys) != 0 {
		t.Errorf("lease without keys: %+v, %v, %v", l, found, err)
	}
	for _, id := range []kvstore.LeaseID{0, long.Lease + 1} {
		if l, found, err := db.Lease(ctx, id, stale); err != nil || found || l.ID != 0 {
			t.Errorf("lease %s: %+v, %v, %v", id, l, found, err)
		}
	}
	all, err := db.Leases(ctx, stale)
	if err != nil || len(all) != 2 || all[0].ID >= all[1].ID || all[0].Keys != nil || log.machine.LeaseCount() != 2 {
		t.Errorf("leases: %+v, %v", all, err)
	}
	// One whose deadline has passed is there for nobody, though nothing ended it yet.
	if deadline, ok := log.machine.NextExpiry(); !ok || deadline != time.Minute {
		t.Errorf("due at %s, %v", deadline, ok)
	}
	log.index++
	if _, err := log.machine.Apply(log.index, time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	if l, found, err := db.Lease(ctx, short.Lease, stale); err != nil || found {
		t.Errorf("after its deadline: %+v, %v, %v", l, found, err)
	}
	if all, err := db.Leases(ctx, stale); err != nil || len(all) != 1 || all[0].ID != long.Lease {
		t.Errorf("leases: %+v, %v", all, err)
	}
	if r, err := db.Expire(ctx); err != nil || r.Code != kvstore.Expired || log.machine.LeaseCount() != 1 {
		t.Errorf("expire: %+v, %v", r, err)
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
