package kvstore_test

import (
	"context"
	"fmt"
	"time"

	"kvd/internal/kvstore"
)

func ExampleDB() {
	m := kvstore.NewMachine()
	db := kvstore.NewDB(m, &soloLog{machine: m}) // in kvd, the log is a raft member
	ctx := context.Background()

	put, _ := db.Put(ctx, []byte("greeting"), []byte("hello"), kvstore.PutOptions{ContentType: "text/plain"})
	fmt.Println(put.Code, put.ModRevision)

	got, _ := db.Get(ctx, []byte("greeting"), kvstore.GetOptions{})
	fmt.Printf("%s, %s, revision %d\n", got.Value, got.ContentType, got.ModRevision)

	onlyNew := kvstore.Condition{Kind: kvstore.IfAbsent}
	put, _ = db.Put(ctx, []byte("greeting"), []byte("hi"), kvstore.PutOptions{Condition: onlyNew})
	fmt.Println(put.Code, "at", put.ModRevision)

	del, _ := db.Delete(ctx, []byte("greeting"), kvstore.DeleteOptions{WantPrev: true})
	fmt.Printf("%s %s\n", del.Code, del.Prev.Value)
	// Output:
	// created 1
	// hello, text/plain, revision 1
	// condition failed at 1
	// deleted hello
}

func ExampleDB_View() {
	m := kvstore.NewMachine()
	db := kvstore.NewDB(m, &soloLog{machine: m})
	ctx := context.Background()
	for _, key := range []string{"app/a", "app/b", "other"} {
		db.Put(ctx, []byte(key), []byte("old"), kvstore.PutOptions{})
	}
	app := []byte("app/")
	deleted, _ := db.DeleteRange(ctx, app, kvstore.PrefixEnd(app), kvstore.WriteOptions{})
	fmt.Println(deleted.Deleted, "deleted in revision", deleted.Revision)

	before, _ := db.View(ctx, kvstore.ReadOptions{Revision: deleted.Revision - 1})
	for it := range before.Descend(app, kvstore.PrefixEnd(app)) {
		fmt.Printf("%s %s\n", it.Key, it.Value)
	}

	db.Compact(ctx, deleted.Revision, kvstore.WriteOptions{})
	_, err := db.View(ctx, kvstore.ReadOptions{Revision: 3})
	fmt.Println(err)
	// Output:
	// 2 deleted in revision 4
	// app/b old
	// app/a old
	// history is compacted: the oldest revision is 4
}

func ExampleDB_Txn() {
	m := kvstore.NewMachine()
	db := kvstore.NewDB(m, &soloLog{machine: m})
	ctx := context.Background()
	from, to := []byte("alice"), []byte("bob")
	db.Put(ctx, from, []byte("1 coin"), kvstore.PutOptions{})

	move := kvstore.Txn{
		If: []kvstore.Comparison{{Key: from, Target: kvstore.CompareModRevision, Op: kvstore.Equal, Number: 1}},
		Then: []kvstore.Op{
			{Kind: kvstore.OpDelete, Key: from},
			{Kind: kvstore.OpPut, Key: to, Value: []byte("1 coin")},
		},
		Else: []kvstore.Op{{Kind: kvstore.OpGet, Key: from}},
	}
	// With an idempotency key it may be tried until it is known to be done.
	for range 2 {
		r, _ := db.Txn(ctx, move, kvstore.WriteOptions{IdempotencyKey: "7f3a"})
		fmt.Println(r.Code, r.Txn.Succeeded, "revision", r.Revision, "replayed", r.Replayed)
	}
	// Output:
	// transaction applied true revision 2 replayed false
	// transaction applied true revision 2 replayed true
}

func ExampleDB_GrantLease() {
	m := kvstore.NewMachine()
	log := &soloLog{machine: m}
	db := kvstore.NewDB(m, log)
	ctx := context.Background()

	lease, _ := db.GrantLease(ctx, 10*time.Second, kvstore.WriteOptions{})
	for _, key := range []string{"workers/1", "workers/2"} {
		db.Put(ctx, []byte(key), nil, kvstore.PutOptions{Lease: lease.Lease})
	}
	deadline, _ := m.NextExpiry()
	fmt.Println("ends at", deadline)

	m.Apply(100, deadline, nil) // the log's clock goes on: no keepalive came
	log.index = 100
	r, _ := db.Expire(ctx)
	fmt.Println(r.Code, r.Deleted, "keys in revision", r.Revision)
	// Output:
	// ends at 10s
	// expired 2 keys in revision 3
}
