package client_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"kvd/client"
)

func testTxn(ctx context.Context, t *testing.T, c *client.Client) {
	txn := client.Txn{
		If: []client.Compare{
			client.Exists("txn/a", false), client.ModRevision("txn/a", client.Equal, 0), client.CreateRevision("txn/a", client.LessOrEqual, 0),
			client.Version("txn/a", client.Less, 1), client.Lease("txn/a", client.Equal, 0),
		},
		Then: []client.Op{
			client.PutOp("txn/a", []byte("1"), &client.PutOpOptions{ContentType: "text/plain", TTL: time.Hour, Prev: true}),
			client.PutOp("txn/\xff", []byte("\xfe"), nil), client.GetOp("txn/a"), client.RangeOp(&client.RangeOpOptions{Prefix: "txn/", Limit: 1}),
		},
		Else: []client.Op{
			client.GetOp("txn/missing"), client.DeleteOp("txn/a", true), client.DeletePrefixOp("txn/\xff"),
			client.RangeOp(&client.RangeOpOptions{Start: "txn/", CountOnly: true}), client.DeleteRangeOp("zzz", ""),
		},
		IdempotencyKey: "txn-1",
	}
	first, err := c.Txn(ctx, txn)
	if err != nil {
		t.Fatal(err)
	}
	if r := first.Results; !first.Succeeded || !r[0].Created || r[0].ModRevision != first.Revision || r[0].Prev != nil ||
		string(r[2].Item.Value) != "1" || r[2].Item.TTL != time.Hour || r[2].Item.ContentType != "text/plain" || r[3].Count != 1 || !r[3].More || len(r[3].Items) != 1 {
		t.Errorf("got %+v", first)
	}
	again, err := c.Txn(ctx, txn)
	if err != nil || !again.Replayed || again.Revision != first.Revision || !again.Succeeded {
		t.Errorf("again: %+v, %v", again, err)
	}
	if r, err := c.Request(ctx, "txn-1"); err != nil || r.Revision != first.Revision || r.Status != 200 || r.State != "applied" {
		t.Errorf("request: %+v, %v", r, err)
	}
	if _, err := c.Request(ctx, "txn-0"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("request: %v", err)
	}
	other := txn
	other.Then = other.Then[:1]
	if _, err := c.Txn(ctx, other); !errors.Is(err, client.ErrIdempotencyMismatch) {
		t.Errorf("another transaction under the key: %v", err)
	}
	txn.IdempotencyKey = ""
	second, err := c.Txn(ctx, txn)
	if err != nil {
		t.Fatal(err)
	}
	if r := second.Results; second.Succeeded || second.Replayed || r[0].Item != nil || r[1].Deleted != 1 || string(r[1].Prev.Value) != "1" || r[2].Deleted != 1 || r[3].Count != 0 || r[4].Deleted != 0 {
		t.Errorf("got %+v", second)
	}
	if _, err := c.Txn(ctx, client.Txn{Then: []client.Op{client.PutOp("a", nil, nil), client.DeleteOp("a", false)}}); !errors.Is(err, client.ErrBadRequest) {
		t.Errorf("two writes of one key: %v", err)
	}
	value := client.Txn{If: []client.Compare{client.Value("txn/v", client.Equal, []byte("\xff"))}}
	if _, err := c.Put(ctx, "txn/v", []byte("\xff"), nil); err != nil {
		t.Fatal(err)
	}
	if res, err := c.Txn(ctx, value); err != nil || !res.Succeeded || len(res.Results) != 0 {
		t.Errorf("got %+v, %v", res, err)
	}
}

func testLeases(ctx context.Context, t *testing.T, c *client.Client) {
	l, err := c.GrantLease(ctx, time.Minute, nil)
	if err != nil || l.ID == 0 || l.TTL != time.Minute {
		t.Fatalf("got %+v, %v", l, err)
	}
	for _, key := range []string{"lease/a", "lease/\xff"} {
		if _, err := c.Put(ctx, key, nil, &client.PutOptions{Lease: l.ID}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := c.Get(ctx, "lease/a", &client.GetOptions{Full: true}); err != nil || got.Lease != l.ID {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err := c.GetLease(ctx, l.ID)
	if err != nil || got.ID != l.ID || got.Remaining <= 0 || got.Remaining > time.Minute || !slices.Equal(got.Keys, []string{"lease/a", "lease/\xff"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if all, err := c.Leases(ctx); err != nil || len(all) != 1 || all[0].ID != l.ID {
		t.Errorf("got %+v, %v", all, err)
	}
	if d, err := c.KeepAliveOnce(ctx, l.ID); err != nil || d != time.Minute {
		t.Errorf("got %v, %v", d, err)
	}
	keeping, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- c.KeepAlive(keeping, l.ID) }()
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n, err := c.RevokeLease(ctx, l.ID, nil); err != nil || n != 2 {
		t.Errorf("got %d, %v", n, err)
	}
	if err := c.KeepAlive(ctx, l.ID); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Put(ctx, "lease/a", nil, &client.PutOptions{Lease: l.ID}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := c.GrantLease(ctx, time.Millisecond, nil); !errors.Is(err, client.ErrBadRequest) {
		t.Errorf("got %v", err)
	}
}
