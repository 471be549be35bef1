package kvstore_test

import (
	"context"
	"fmt"

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
	deleted, _ := db.DeleteRange(ctx, app, kvstore.PrefixEnd(app))
	fmt.Println(deleted.Deleted, "deleted in revision", deleted.Revision)

	before, _ := db.View(ctx, kvstore.ReadOptions{Revision: deleted.Revision - 1})
	for it := range before.Descend(app, kvstore.PrefixEnd(app)) {
		fmt.Printf("%s %s\n", it.Key, it.Value)
	}

	db.Compact(ctx, deleted.Revision)
	_, err := db.View(ctx, kvstore.ReadOptions{Revision: 3})
	fmt.Println(err)
	// Output:
	// 2 deleted in revision 4
	// app/b old
	// app/a old
	// history is compacted: the oldest revision is 4
}
