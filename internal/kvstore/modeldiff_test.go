package kvstore

import (
	"bytes"
	"cmp"
	"fmt"
	"testing"
	"time"
)

// diffResult says in what got is not want, "" if it is.
func diffResult(got, want *Result) string {
	if got.Code != want.Code || got.Revision != want.Revision || got.ModRevision != want.ModRevision ||
		got.Deleted != want.Deleted || got.Lease != want.Lease || got.TTL != want.TTL || got.Replayed != want.Replayed {
		return fmt.Sprintf("got %+v\nwant %+v", *got, *want)
	}
	if d := diffItem(got.Prev, want.Prev); d != "" {
		return "previous item: " + d
	}
	switch {
	case got.Txn == nil && want.Txn == nil:
		return ""
	case got.Txn == nil || want.Txn == nil || got.Txn.Succeeded != want.Txn.Succeeded || len(got.Txn.Ops) != len(want.Txn.Ops):
		return fmt.Sprintf("got %+v\nwant %+v", got.Txn, want.Txn)
	}
	for i := range got.Txn.Ops {
		if d := diffOp(&got.Txn.Ops[i], &want.Txn.Ops[i]); d != "" {
			return fmt.Sprintf("operation %d: %s", i, d)
		}
	}
	return ""
}

func diffOp(got, want *OpResult) string {
	if got.Kind != want.Kind || got.Code != want.Code || got.ModRevision != want.ModRevision ||
		got.Count != want.Count || got.More != want.More || len(got.Items) != len(want.Items) {
		return fmt.Sprintf("got %+v\nwant %+v", *got, *want)
	}
	if d := cmp.Or(diffItem(got.Prev, want.Prev), diffItem(got.Item, want.Item)); d != "" {
		return d
	}
	for i := range got.Items {
		if d := diffItem(&got.Items[i], &want.Items[i]); d != "" {
			return fmt.Sprintf("item %d: %s", i, d)
		}
	}
	return ""
}

func diffItem(got, want *Item) string {
	if got == nil && want == nil {
		return ""
	}
	if got == nil || want == nil || !bytes.Equal(got.Key, want.Key) || !bytes.Equal(got.Value, want.Value) ||
		got.ContentType != want.ContentType || got.CreateRevision != want.CreateRevision ||
		got.ModRevision != want.ModRevision || got.Version != want.Version || got.Lease != want.Lease || got.TTL != want.TTL {
		return fmt.Sprintf("got %.300s\nwant %.300s", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
	}
	return ""
}

// A difference that is not seen makes the model worthless.
func TestEveryDifferenceIsSeen(t *testing.T) {
	item := func() *Item {
		return &Item{[]byte("k"), []byte("v"), "text/plain", 1, 2, 2, 3, time.Second}
	}
	full := func() *Result {
		return &Result{
			Code: Created, Replayed: true, Revision: 1, ModRevision: 2, Prev: item(), Deleted: 3, Lease: 4, TTL: 5,
			Txn: &TxnResult{Succeeded: true, Ops: []OpResult{{
				Kind: OpGet, Code: Found, ModRevision: 1, Prev: item(), Item: item(), Items: []Item{*item()}, Count: 2, More: true,
			}}},
		}
	}
	if d := diffResult(full(), full()); d != "" {
		t.Fatalf("what is the same differs: %s", d)
	}
	op := func(r *Result) *OpResult { return &r.Txn.Ops[0] }
	for i, change := range []func(r *Result){
		func(r *Result) { r.Code = Replaced },
		func(r *Result) { r.Replayed = false },
		func(r *Result) { r.Revision++ },
		func(r *Result) { r.ModRevision++ },
		func(r *Result) { r.Deleted++ },
		func(r *Result) { r.Lease++ },
		func(r *Result) { r.TTL++ },
		func(r *Result) { r.Prev = nil },
		func(r *Result) { r.Prev.Key = []byte("l") },
		func(r *Result) { r.Prev.Value = nil },
		func(r *Result) { r.Prev.ContentType = "" },
		func(r *Result) { r.Prev.CreateRevision++ },
		func(r *Result) { r.Prev.ModRevision++ },
		func(r *Result) { r.Prev.Version++ },
		func(r *Result) { r.Prev.Lease++ },
		func(r *Result) { r.Prev.TTL++ },
		func(r *Result) { r.Txn = nil },
		func(r *Result) { r.Txn.Succeeded = false },
		func(r *Result) { r.Txn.Ops = nil },
		func(r *Result) { op(r).Kind = OpRange },
		func(r *Result) { op(r).Code = NotFound },
		func(r *Result) { op(r).ModRevision++ },
		func(r *Result) { op(r).Prev = nil },
		func(r *Result) { op(r).Item.Version++ },
		func(r *Result) { op(r).Items = nil },
		func(r *Result) { op(r).Items[0].Version++ },
		func(r *Result) { op(r).Count++ },
		func(r *Result) { op(r).More = false },
	} {
		changed := full()
		change(changed)
		if diffResult(changed, full()) == "" || diffResult(full(), changed) == "" {
			t.Errorf("change %d is not seen", i)
		}
	}
}
