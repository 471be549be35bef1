package test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kvd "kvd/client"
)

// newGoClient is the Go client for some members.
func newGoClient(t *testing.T, ms ...*member) *kvd.Client {
	t.Helper()
	cfg := kvd.Config{AttemptTimeout: 2 * time.Second}
	for _, m := range ms {
		cfg.Endpoints = append(cfg.Endpoints, m.clientURL)
		if _, elsewhere := dialers.Load(m.clientAddr()); elsewhere {
			cfg.HTTPClient = newClient()
		}
	}
	c, err := kvd.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestGoClient goes through all that the Go client can do, with the leader and
// with a follower.
func TestGoClient(t *testing.T) {
	t.Parallel()
	cl := startCluster(t, 3)
	leader := cl.leader()
	for _, m := range []*member{leader, cl.followers(leader)[0]} {
		t.Run(m.name(), func(t *testing.T) {
			c, ctx := newGoClient(t, m), t.Context()
			p := fmt.Sprintf("go%d/", m.id)
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			wantErr := func(err, want error) {
				t.Helper()
				if !errors.Is(err, want) {
					t.Errorf("got error %v, want %v", err, want)
				}
			}

			w, err := c.Watch(ctx, &kvd.WatchOptions{Prefixes: []string{p}, Prev: true})
			must(err)
			defer w.Close()

			// Keys of any bytes, and conditions.
			odd := p + "a//b/../%2F\xff\x00 ?"
			put, err := c.Put(ctx, odd, []byte("1"), &kvd.PutOptions{ContentType: "text/plain", If: kvd.IfAbsent()})
			must(err)
			if !put.Created || put.Replayed {
				t.Errorf("create: %+v", put)
			}
			_, err = c.Put(ctx, odd, []byte("no"), &kvd.PutOptions{If: kvd.IfRevision(put.ModRevision + 1)})
			wantErr(err, kvd.ErrPrecondition)
			if e, ok := errors.AsType[*kvd.Error](err); !ok || e.CurrentRevision != put.ModRevision || e.Outcome != kvd.NotApplied {
				t.Errorf("failed condition: %+v", e)
			}
			two, err := c.Put(ctx, odd, []byte("2"), &kvd.PutOptions{If: kvd.IfRevision(put.ModRevision), Prev: true})
			must(err)
			if two.Prev == nil || string(two.Prev.Value) != "1" || two.Prev.ContentType != "text/plain" {
				t.Errorf("replace: %+v", two.Prev)
			}
			again, err := c.Put(ctx, p+"once", []byte("x"), &kvd.PutOptions{IdempotencyKey: p + "my-own"})
			must(err)
			replay, err := c.Put(ctx, p+"once", []byte("x"), &kvd.PutOptions{IdempotencyKey: p + "my-own"})
			must(err)
			if !replay.Replayed || replay.ModRevision != again.ModRevision {
				t.Errorf("the same again: %+v after %+v", replay, again)
			}
			_, err = c.Put(ctx, p+"once", []byte("y"), &kvd.PutOptions{IdempotencyKey: p + "my-own"})
			wantErr(err, kvd.ErrIdempotencyMismatch)
			known, err := c.Request(ctx, p+"my-own")
			must(err)
			if known.Status != 201 {
				t.Errorf("request: %+v", known)
			}

			// Reads.
			got, err := c.Get(ctx, odd, &kvd.GetOptions{Full: true})
			must(err)
			if string(got.Value) != "2" || got.Version != 2 || got.CreateRevision != put.ModRevision {
				t.Errorf("read: %+v", got)
			}
			old, err := c.Get(ctx, odd, &kvd.GetOptions{ReadOptions: kvd.ReadOptions{Revision: put.Revision}})
			must(err)
			if string(old.Value) != "1" {
				t.Errorf("read of the past: %q", old.Value)
			}
			same, err := c.Get(ctx, odd, &kvd.GetOptions{Unless: got.ModRevision, Wait: 50 * time.Millisecond})
			must(err)
			if !same.NotModified {
				t.Errorf("long poll: %+v", same)
			}
			_, err = c.Get(ctx, p+"none", nil)
			wantErr(err, kvd.ErrNotFound)
			_, err = c.Get(ctx, odd, &kvd.GetOptions{ReadOptions: kvd.ReadOptions{Consistency: kvd.Stale, MaxStale: time.Minute, MinRevision: two.Revision}})
			must(err)

			// Transactions.
			txn, err := c.Txn(ctx, kvd.Txn{
				If: []kvd.Compare{kvd.Value(odd, kvd.Equal, []byte("2")), kvd.Exists(p+"none", false), kvd.Version(odd, kvd.GreaterOrEqual, 2),
					kvd.ModRevision(odd, kvd.Equal, two.ModRevision), kvd.CreateRevision(odd, kvd.Less, two.ModRevision), kvd.Lease(odd, kvd.Equal, 0)},
				Then: []kvd.Op{kvd.PutOp(p+"t/1", []byte{0xff}, &kvd.PutOpOptions{Prev: true, TTL: time.Minute}), kvd.PutOp(p+"t/2", nil, nil), kvd.GetOp(odd),
					kvd.RangeOp(&kvd.RangeOpOptions{Prefix: p + "t/", Limit: 1}), kvd.DeleteOp(p+"once", true)},
				Else: []kvd.Op{kvd.DeletePrefixOp(p)},
			})
			must(err)
			if rs := txn.Results; !txn.Succeeded || len(rs) != 5 || !rs[0].Created || string(rs[2].Item.Value) != "2" ||
				rs[3].Count != 1 || !rs[3].More || rs[4].Deleted != 1 || string(rs[4].Prev.Value) != "x" {
				t.Errorf("transaction: %+v", txn)
			}

			// Listings.
			page, err := c.List(ctx, &kvd.ListOptions{Prefix: p, Limit: 2})
			must(err)
			rest, err := c.List(ctx, &kvd.ListOptions{Prefix: p, Limit: 2, Cursor: page.Next})
			must(err)
			if len(page.Items) != 2 || len(rest.Items) != 1 || rest.Next != "" {
				t.Errorf("pages: %+v %+v", page, rest)
			}
			var all []string
			for e, err := range c.All(ctx, &kvd.ListOptions{Prefix: p, Separator: "/", KeysOnly: true}) {
				must(err)
				all = append(all, e.Key+e.Prefix)
			}
			slices.Sort(all)
			if !slices.Equal(all, []string{p + "a/", p + "t/"}) {
				t.Errorf("folded: %q", all)
			}
			count, err := c.Count(ctx, &kvd.ListOptions{Start: p, End: p + "t/2"})
			must(err)
			if count.Count != 2 {
				t.Errorf("count: %+v", count)
			}

			// Leases.
			lease, err := c.GrantLease(ctx, time.Minute, nil)
			must(err)
			_, err = c.Put(ctx, p+"leased", []byte("x"), &kvd.PutOptions{Lease: lease.ID})
			must(err)
			left, err := c.KeepAliveOnce(ctx, lease.ID)
			must(err)
			info, err := c.GetLease(ctx, lease.ID)
			must(err)
			if left != time.Minute || info.TTL != time.Minute || !slices.Equal(info.Keys, []string{p + "leased"}) || info.Remaining > time.Minute || info.Remaining < 30*time.Second {
				t.Errorf("lease: %v left, %+v", left, info)
			}
			leases, err := c.Leases(ctx)
			must(err)
			if !slices.ContainsFunc(leases, func(l kvd.LeaseInfo) bool { return l.ID == lease.ID }) {
				t.Errorf("leases: %+v", leases)
			}
			gone, err := c.RevokeLease(ctx, lease.ID, nil)
			must(err)
			if gone != 1 {
				t.Errorf("revoked with %d keys", gone)
			}
			_, err = c.KeepAliveOnce(ctx, lease.ID)
			wantErr(err, kvd.ErrNotFound)

			// The end of it, and what the watch saw of it all.
			dry, err := c.DeletePrefix(ctx, p, &kvd.DeletePrefixOptions{DryRun: true})
			must(err)
			del, err := c.DeletePrefix(ctx, p, nil)
			must(err)
			if dry.Deleted != 3 || del.Deleted != 3 {
				t.Errorf("delete: %+v after %+v", del, dry)
			}
			var story []string
			for ev, err := range w.Events() {
				must(err)
				s := fmt.Sprintf("%s %s", ev.Type, ev.Item.Key[len(p):])
				if ev.Prev != nil {
					s += " was " + string(ev.Prev.Value)
				}
				story = append(story, s)
				if ev.Revision == del.Revision && ev.Last {
					break
				}
			}
			tail := "a//b/../%2F\xff\x00 ?"
			want := []string{"put " + tail, "put " + tail + " was 1", "put once", "delete once was x", "put t/1", "put t/2",
				"put leased", "delete leased was x", "delete " + tail + " was 2", "delete t/1 was \xff", "delete t/2 was "}
			if !slices.Equal(story, want) {
				t.Errorf("the watch saw\n%q, want\n%q", story, want)
			}
			if w.Revision() != del.Revision {
				t.Errorf("the watch is at %d, want %d", w.Revision(), del.Revision)
			}

			// Refusals and the cluster.
			_, err = c.Put(ctx, "", nil, nil)
			wantErr(err, kvd.ErrBadRequest)
			_, err = c.Get(ctx, odd, &kvd.GetOptions{ReadOptions: kvd.ReadOptions{Revision: 1 << 40}})
			wantErr(err, kvd.ErrFutureRevision)
			_, err = c.Put(ctx, p+"large", make([]byte, 2<<20), nil)
			wantErr(err, kvd.ErrTooLarge)
			_, err = c.AddMember(ctx, kvd.NewMember{ID: 2, PeerURL: "http://127.0.0.1:1"})
			wantErr(err, kvd.ErrMemberExists)
			members, err := c.Members(ctx)
			must(err)
			if len(members) != 3 {
				t.Errorf("members: %+v", members)
			}
			st, err := c.Status(ctx, m.clientURL)
			must(err)
			if st.ID != m.id || st.Leader != leader.id {
				t.Errorf("status: %+v", st)
			}
			must(c.Live(ctx, m.clientURL))
			must(c.Ready(ctx, m.clientURL))
		})
	}
	// Compaction is for the whole cluster, so it comes last.
	c := newGoClient(t, leader)
	now := leader.put("k", "1")
	leader.put("k", "2")
	if err := c.Compact(t.Context(), now+1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), "k", &kvd.GetOptions{ReadOptions: kvd.ReadOptions{Revision: now}}); !errors.Is(err, kvd.ErrCompacted) {
		t.Errorf("read of what was compacted: %v", err)
	}
	w, err := c.Watch(t.Context(), &kvd.WatchOptions{Since: 1})
	if err == nil {
		_, err = w.Next()
	}
	if e, ok := errors.AsType[*kvd.CompactedError](err); !ok || e.Oldest != now+1 {
		t.Errorf("watch from what was compacted: %v", err)
	}
}

// TestGoClientFaults leaves it to the client to get through kills and freezes:
// increments count once, a watch misses nothing and repeats nothing, and a lease
// that is kept alive lives.
func TestGoClientFaults(t *testing.T) {
	seed := envNumber(t, "KVD_FAULT_SEED", uint64(time.Now().UnixNano()))
	t.Logf("KVD_FAULT_SEED=%d", seed)
	cl := startCluster(t, 3, "--tick", "50ms", "--snapshot-entries", "500")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := newGoClient(t, cl.members...)

	lease, err := c.GrantLease(ctx, 8*time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(ctx, "alive", []byte("x"), &kvd.PutOptions{Lease: lease.ID}); err != nil {
		t.Fatal(err)
	}
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() {
		if err := c.KeepAlive(ctx, lease.ID); ctx.Err() == nil {
			t.Errorf("keep alive: %v", err)
		}
	})

	done := make(chan struct{})
	end := time.AfterFunc(8*time.Second, sync.OnceFunc(func() { close(done) }))
	defer func() {
		if end.Stop() {
			close(done)
		}
	}()
	var total, lost atomic.Int64
	var incrementing sync.WaitGroup
	for range 6 {
		own := newGoClient(t, cl.members...)
		incrementing.Go(func() {
			for pause(done, time.Millisecond) {
				ok, err := increment(ctx, own, "n")
				if err != nil {
					t.Errorf("increment: %v", err)
					return
				}
				if ok {
					total.Add(1)
				} else {
					lost.Add(1)
				}
			}
		})
	}
	w, err := c.Watch(ctx, &kvd.WatchOptions{Keys: []string{"n"}, All: true})
	if err != nil {
		t.Fatal(err)
	}
	var seen atomic.Int64
	background.Go(func() {
		defer w.Close()
		for ev, err := range w.Events() {
			n, _ := strconv.ParseInt(string(ev.Item.Value), 10, 64)
			if err != nil || n != seen.Load()+1 {
				if ctx.Err() == nil {
					t.Errorf("the watch saw %d after %d: %v", n, seen.Load(), err)
				}
				return
			}
			seen.Store(n)
		}
	})
	n := newNemesis(t, cl, seed)
	n.run(done)
	incrementing.Wait()
	cl.waitReady()
	got, err := c.Get(ctx, "n", nil)
	if err != nil || string(got.Value) != fmt.Sprint(total.Load()) {
		t.Errorf("counted %s, want %d: %v", got.Value, total.Load(), err)
	}
	waitFor(t, 20*time.Second, "the watch to see all", func() error {
		if n := seen.Load(); n != total.Load() {
			return fmt.Errorf("it saw %d of %d", n, total.Load())
		}
		return nil
	})
	if _, err := c.Get(ctx, "alive", nil); err != nil {
		t.Errorf("the lease that was kept alive: %v", err)
	}
	t.Logf("%d increments, %d lost to others; faults %v", total.Load(), lost.Load(), n.count)
	if total.Load() < 100 {
		t.Errorf("%d increments show little", total.Load())
	}
}

// increment raises a number by one; false: somebody else was faster.
func increment(ctx context.Context, c *kvd.Client, key string) (bool, error) {
	n, rev := 0, uint64(0)
	got, err := c.Get(ctx, key, nil)
	switch {
	case errors.Is(err, kvd.ErrNotFound):
	case err != nil:
		return false, err
	default:
		n, _ = strconv.Atoi(string(got.Value))
		rev = got.ModRevision
	}
	res, err := c.Txn(ctx, kvd.Txn{
		If:   []kvd.Compare{kvd.ModRevision(key, kvd.Equal, rev)},
		Then: []kvd.Op{kvd.PutOp(key, []byte(strconv.Itoa(n+1)), nil)},
	})
	return err == nil && res.Succeeded, err
}
