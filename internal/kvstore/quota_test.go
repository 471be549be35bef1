package kvstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

func TestQuota(t *testing.T) {
	db, log := newDB()
	ctx := t.Context()
	k := []byte("k")
	put := kvstore.Op{Kind: kvstore.OpPut, Key: k}
	txn := func(then ...kvstore.Op) (kvstore.Result, error) {
		return db.Txn(ctx, kvstore.Txn{Then: then}, kvstore.WriteOptions{})
	}
	first, err := db.GrantLease(ctx, time.Hour, kvstore.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	db.QuotaBytes = 2_000
	once := kvstore.PutOptions{IdempotencyKey: "once"}
	if r, err := db.Put(ctx, k, []byte(strings.Repeat("x", 3_000)), once); err != nil || r.Code != kvstore.Created {
		t.Fatalf("the put that uses it up: %+v, %v", r, err)
	}
	grows := map[string]func() (kvstore.Result, error){
		"put":   func() (kvstore.Result, error) { return db.Put(ctx, k, nil, kvstore.PutOptions{}) },
		"txn":   func() (kvstore.Result, error) { return txn(put) },
		"grant": func() (kvstore.Result, error) { return db.GrantLease(ctx, time.Hour, kvstore.WriteOptions{}) },
		"put with an idempotency key": func() (kvstore.Result, error) {
			return db.Put(ctx, k, nil, kvstore.PutOptions{IdempotencyKey: "new"})
		},
		"txn with a put in its other branch": func() (kvstore.Result, error) {
			return db.Txn(ctx, kvstore.Txn{Else: []kvstore.Op{put}}, kvstore.WriteOptions{})
		},
	}
	index := log.index
	for name, write := range grows {
		if r, err := write(); !errors.Is(err, kvstore.ErrNoSpace) || r != (kvstore.Result{}) {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	if log.index != index {
		t.Errorf("%d commands went to the log", log.index-index)
	}
	if r, err := db.Put(ctx, k, []byte(strings.Repeat("x", 3_000)), once); err != nil || !r.Replayed || r.ModRevision != 1 {
		t.Errorf("a retry of what was applied: %+v, %v", r, err)
	}
	// None of these makes the store larger, and together they free it.
	for name, write := range map[string]func() (kvstore.Result, error){
		"keepalive":             func() (kvstore.Result, error) { return db.KeepAlive(ctx, first.Lease, kvstore.WriteOptions{}) },
		"expire":                func() (kvstore.Result, error) { return db.Expire(ctx) },
		"delete":                func() (kvstore.Result, error) { return db.Delete(ctx, k, kvstore.DeleteOptions{}) },
		"delete of a range":     func() (kvstore.Result, error) { return db.DeleteRange(ctx, k, nil, kvstore.WriteOptions{}) },
		"txn that only deletes": func() (kvstore.Result, error) { return txn(kvstore.Op{Kind: kvstore.OpDelete, Key: k}) },
	} {
		if r, err := write(); err != nil || r.Code == kvstore.BadCommand {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if _, err := db.RevokeLease(ctx, first.Lease, kvstore.WriteOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := grows["put"](); !errors.Is(err, kvstore.ErrNoSpace) {
		t.Errorf("with a history of %d bytes: %v", log.machine.HistoryBytes(), err)
	}
	if r, err := db.Compact(ctx, log.machine.Revision(), kvstore.WriteOptions{}); err != nil || r.Code != kvstore.Compacted {
		t.Fatalf("compact: %+v, %v", r, err)
	}
	for name, write := range grows {
		if _, err := write(); err != nil {
			t.Errorf("%s: with %d bytes used: %v", name, log.machine.Used(), err)
		}
	}
	db.QuotaBytes = 0
	if _, err := db.Put(ctx, k, []byte(strings.Repeat("x", 9_000)), kvstore.PutOptions{}); err != nil {
		t.Errorf("without a quota: %v", err)
	}
}

// Where nobody can tell whether a retry was applied, it is not said that it was not.
func TestQuotaAsksForRetries(t *testing.T) {
	db, log := newDB()
	if _, err := db.Put(t.Context(), []byte("k"), []byte("v"), kvstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	db.QuotaBytes, log.err = 1, kvstore.ErrNoLeader
	if _, err := db.Put(t.Context(), []byte("k"), nil, kvstore.PutOptions{IdempotencyKey: "id"}); !errors.Is(err, kvstore.ErrNoLeader) {
		t.Errorf("got %v", err)
	}
}

// What NoSpace refuses is what the quota refuses; everything else goes on, and a
// retry of what was applied still gets its answer.
func TestNoSpace(t *testing.T) {
	db, log := newDB()
	ctx := t.Context()
	k := []byte("k")
	once := kvstore.PutOptions{IdempotencyKey: "once"}
	first, err := db.Put(ctx, k, []byte("v"), once)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := db.GrantLease(ctx, time.Hour, kvstore.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	short := errors.New("the disk of member 2 is short of room")
	db.NoSpace = func() error { return short }
	put := kvstore.Op{Kind: kvstore.OpPut, Key: k}
	index := log.index
	for name, write := range map[string]func() (kvstore.Result, error){
		"put":   func() (kvstore.Result, error) { return db.Put(ctx, k, nil, kvstore.PutOptions{}) },
		"grant": func() (kvstore.Result, error) { return db.GrantLease(ctx, time.Hour, kvstore.WriteOptions{}) },
		"txn": func() (kvstore.Result, error) {
			return db.Txn(ctx, kvstore.Txn{Then: []kvstore.Op{put}}, kvstore.WriteOptions{})
		},
	} {
		if _, err := write(); !errors.Is(err, kvstore.ErrNoSpace) || !errors.Is(err, short) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if log.index != index {
		t.Errorf("%d commands went to the log", log.index-index)
	}
	if r, err := db.Put(ctx, k, []byte("v"), once); err != nil || !r.Replayed || r.ModRevision != first.ModRevision {
		t.Errorf("a retry of what was applied: %+v, %v", r, err)
	}
	for name, write := range map[string]func() (kvstore.Result, error){
		"keepalive": func() (kvstore.Result, error) { return db.KeepAlive(ctx, lease.Lease, kvstore.WriteOptions{}) },
		"expire":    func() (kvstore.Result, error) { return db.Expire(ctx) },
		"delete":    func() (kvstore.Result, error) { return db.Delete(ctx, k, kvstore.DeleteOptions{}) },
		"compact":   func() (kvstore.Result, error) { return db.Compact(ctx, 1, kvstore.WriteOptions{}) },
	} {
		if r, err := write(); err != nil || r.Code == kvstore.BadCommand {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if _, err := db.RevokeLease(ctx, lease.Lease, kvstore.WriteOptions{}); err != nil {
		t.Errorf("revoke: %v", err)
	}
	if _, err := db.Get(ctx, k, kvstore.GetOptions{}); err != nil {
		t.Errorf("get: %v", err)
	}
	short = nil
	if _, err := db.Put(ctx, k, nil, kvstore.PutOptions{}); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
