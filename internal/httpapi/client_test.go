package httpapi

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"testing"
	"time"

	"kvd/client"
)

// newClient returns a Client of the fixture, on a socket.
func (f *fixture) newClient() *client.Client {
	f.t.Helper()
	c, err := client.New(client.Config{Endpoints: []string{"http://" + f.serve(ServerConfig{})}, Timeout: time.Second})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(c.Close)
	return c
}

// What the Go client says about members, leadership, snapshots and verification
// is understood here, and the other way round.
func TestClient(t *testing.T) {
	f, file := newSnapshot(t, 300<<10)
	c, ctx := f.newClient(), t.Context()
	endpoint := c.Endpoints()[0]
	f.admin.set(func(a *fakeAdmin) {
		a.plan = Plan{VotersBefore: []uint64{1, 2, 3}, VotersAfter: []uint64{1, 2}, QuorumBefore: 2, QuorumAfter: 2, ToleratedBefore: 1, Refusal: fmt.Errorf("remove: %w", ErrWouldLoseQuorum)}
		a.leader, a.waiting = Leader{ID: 2, Term: 7, ClientURL: "http://b:2"}, true
		a.disk = Disk{Free: 5, Reserve: 3, Short: []uint64{2}}
	})

	add := client.NewMember{ID: 9, Name: "n9", PeerURL: "http://d:1", ClientURL: "http://d:2"}
	u := client.MemberUpdate{PeerURL: new("http://e:1"), AutoPromote: new(true)}
	var plans []*client.Plan
	for _, err := range []error{
		second(c.PromoteMember(ctx, 3)), second(c.UpdateMember(ctx, 3, u)),
		keep(&plans)(c.PlanAdd(ctx, add)), keep(&plans)(c.PlanRemove(ctx, 3, true)), keep(&plans)(c.PlanPromote(ctx, 3)), keep(&plans)(c.PlanUpdate(ctx, 3, u)), keep(&plans)(c.PlanReplace(ctx, 3, add)),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	want := []string{
		"promote 3", `update 3 {peer_url="http://e:1"auto_promote=true}`,
		"plan 1 id=0 member={ID:9 Name:n9 PeerURL:http://d:1 ClientURL:http://d:2 AutoPromote:true} update={} force=false",
		"plan 2 id=3 member={ID:0 Name: PeerURL: ClientURL: AutoPromote:false} update={} force=true",
		"plan 3 id=3 member={ID:0 Name: PeerURL: ClientURL: AutoPromote:false} update={} force=false",
		`plan 4 id=3 member={ID:0 Name: PeerURL: ClientURL: AutoPromote:false} update={peer_url="http://e:1"auto_promote=true} force=false`,
		"plan 5 id=3 member={ID:9 Name:n9 PeerURL:http://d:1 ClientURL:http://d:2 AutoPromote:true} update={} force=false",
	}
	if got := f.admin.done(); !slices.Equal(got, want) {
		t.Errorf("asked for %q", got)
	}
	for _, p := range plans {
		if !slices.Equal(p.VotersBefore, []uint64{1, 2, 3}) || !slices.Equal(p.VotersAfter, []uint64{1, 2}) || p.QuorumBefore != 2 || p.QuorumAfter != 2 || p.ToleratedBefore != 1 || !errors.Is(p.Refused, client.ErrWouldLoseQuorum) {
			t.Errorf("got %+v", p)
		}
	}
	if m, done, err := c.ReplaceMember(ctx, 3, add); err != nil || done || m.ID != 9 || m.Replaces != 3 || m.Role != client.RoleLearner {
		t.Errorf("got %+v, %v, %v", m, done, err)
	}
	if l, err := c.Leader(ctx); err != nil || *l != (client.Leader{ID: 2, Term: 7, ClientURL: "http://b:2"}) {
		t.Errorf("got %+v, %v", l, err)
	}
	if l, err := c.TransferLeadership(ctx, 3); err != nil || l.ID != 3 || l.Term != 8 {
		t.Errorf("got %+v, %v", l, err)
	}
	if s, err := c.Status(ctx, endpoint); err != nil || !reflect.DeepEqual(s.Disk, client.Disk{Free: 5, Reserve: 3, Short: []uint64{2}}) || s.Diverged != "" {
		t.Errorf("got %+v, %v", s, err)
	}

	named := client.SnapshotInfo{Index: 40, Term: 7, Revision: 38, Size: int64(len(file))}
	if info, err := c.TakeSnapshot(ctx, endpoint); err != nil || *info != named {
		t.Errorf("got %+v, %v", info, err)
	}
	snap, err := c.LatestSnapshot(ctx, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(snap); err != nil || string(got) != string(file) || snap.SnapshotInfo != named {
		t.Errorf("got %d bytes of %+v, %v", len(got), snap.SnapshotInfo, err)
	}
	snap.Close()

	if _, err := c.LastVerification(ctx, endpoint); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	f.admin.set(func(a *fakeAdmin) {
		a.verified = &Verification{Index: 40, Hashes: map[uint64]uint64{1: 10}, At: time.Now()}
	})
	if v, err := c.Verify(ctx); err != nil || v.Index != 40 || v.Hashes[1] != "000000000000000a" || len(v.Diverged) > 0 {
		t.Errorf("got %+v, %v", v, err)
	}
	f.admin.set(func(a *fakeAdmin) { a.verified.Diverged = []uint64{1} })
	f.diverge(true)
	e, ok := errors.AsType[*client.Error](second(c.Verify(ctx)))
	if !ok || !errors.Is(e, client.ErrDiverged) || !slices.Equal(e.Verification.Diverged, []uint64{1}) {
		t.Errorf("got %+v", e)
	}
	if s, err := c.Status(ctx, endpoint); err != nil || s.Diverged == "" {
		t.Errorf("got %+v, %v", s, err)
	}
	if err := second(c.LatestSnapshot(ctx, endpoint)); !errors.Is(err, client.ErrDiverged) {
		t.Errorf("got %v", err)
	}
	// Nobody else can be asked here, and nothing was done.
	err = second(c.Put(ctx, "k", nil, nil))
	if e, ok := errors.AsType[*client.Error](err); !ok || !errors.Is(err, client.ErrDiverged) || e.Outcome != client.NotApplied {
		t.Errorf("got %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// keep collects what came without an error.
func keep[T any](all *[]T) func(T, error) error {
	return func(v T, err error) error {
		if err == nil {
			*all = append(*all, v)
		}
		return err
	}
}
