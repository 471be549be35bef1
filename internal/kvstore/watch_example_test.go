package kvstore_test

import (
	"context"
	"fmt"

	"kvd/internal/kvstore"
)

func ExampleDB_Watch() {
	m := kvstore.NewMachine()
	db := kvstore.NewDB(m, &soloLog{machine: m})
	ctx := context.Background()
	w, _ := db.Watch(ctx, kvstore.WatchOptions{Prefixes: [][]byte{[]byte("app/")}, Prev: true})
	defer w.Close()

	db.Put(ctx, []byte("app/a"), []byte("1"), kvstore.PutOptions{})
	db.Put(ctx, []byte("other"), []byte("1"), kvstore.PutOptions{})
	db.Put(ctx, []byte("app/a"), []byte("2"), kvstore.PutOptions{})
	db.Delete(ctx, []byte("app/a"), kvstore.DeleteOptions{})

	events, _ := w.Next(ctx, make([]kvstore.Event, 10))
	for _, e := range events {
		fmt.Printf("%d %s %s", e.ModRevision, e.Type, e.Key)
		if e.Prev != nil {
			fmt.Printf(", was %s", e.Prev.Value)
		}
		fmt.Println()
	}
	fmt.Println("seen to", w.Progress())
	// Output:
	// 1 put app/a
	// 3 put app/a, was 1
	// 4 delete app/a, was 2
	// seen to 4
}
