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
