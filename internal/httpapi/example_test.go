package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"time"

	"kvd/internal/httpapi"
	"kvd/internal/kvstore"
)

// alone is a log of one member that keeps nothing: commands are applied as they
// come.
type alone struct {
	machine *kvstore.Machine
	index   uint64
}

func (l *alone) Propose(_ context.Context, cmd []byte) (kvstore.Result, error) {
	l.index++
	results, err := l.machine.Apply(l.index, 0, [][]byte{cmd})
	if err != nil {
		return kvstore.Result{}, err
	}
	return results[0], nil
}

func (l *alone) ReadBarrier(context.Context) error { return nil }

// nobody is a cluster without members.
type nobody struct{}

func (nobody) Members(context.Context) ([]httpapi.Member, error) { return nil, nil }
func (nobody) AddMember(context.Context, httpapi.NewMember) (httpapi.Member, error) {
	return httpapi.Member{}, kvstore.ErrNoLeader
}
func (nobody) RemoveMember(context.Context, uint64, bool) error { return httpapi.ErrNoSuchMember }
func (nobody) Status() httpapi.Status                           { return httpapi.Status{ID: 1} }
func (nobody) Staleness() (time.Duration, bool)                 { return 0, true }
func (nobody) LogClock() time.Duration                          { return 0 }
func (nobody) Ready() error                                     { return nil }
func (nobody) PlanChange(context.Context, httpapi.Change) (httpapi.Plan, error) {
	return httpapi.Plan{}, kvstore.ErrNoLeader
}
func (nobody) PromoteMember(context.Context, uint64) (httpapi.Member, error) {
	return httpapi.Member{}, httpapi.ErrNoSuchMember
}
func (nobody) UpdateMember(context.Context, uint64, httpapi.MemberUpdate) (httpapi.Member, error) {
	return httpapi.Member{}, httpapi.ErrNoSuchMember
}
func (nobody) ReplaceMember(context.Context, uint64, httpapi.NewMember) (httpapi.Member, bool, error) {
	return httpapi.Member{}, false, httpapi.ErrNoSuchMember
}
func (nobody) Leader() (httpapi.Leader, bool) { return httpapi.Leader{}, false }
func (nobody) TransferLeadership(context.Context, uint64) (httpapi.Leader, error) {
	return httpapi.Leader{}, kvstore.ErrNoLeader
}
func (nobody) TakeSnapshot(context.Context) (httpapi.SnapshotInfo, error) {
	return httpapi.SnapshotInfo{}, kvstore.ErrNoSpace
}
func (nobody) OpenSnapshot() (httpapi.SnapshotInfo, io.ReadSeekCloser, error) {
	return httpapi.SnapshotInfo{}, nil, httpapi.ErrNoSnapshot
}
func (nobody) Verify(context.Context) (httpapi.Verification, error) {
	return httpapi.Verification{}, kvstore.ErrNoLeader
}
func (nobody) LastVerification() (httpapi.Verification, bool) { return httpapi.Verification{}, false }
func (nobody) Serving() error                                 { return nil }
func (nobody) Disk() httpapi.Disk                             { return httpapi.Disk{} }

func ExampleNew() {
	machine := kvstore.NewMachine()
	h, err := httpapi.New(httpapi.Config{
		Store:      kvstore.NewDB(machine, &alone{machine: machine}),
		Stats:      machine,
		Cluster:    nobody{},
		Membership: nobody{},
		Leadership: nobody{},
		Snapshots:  nobody{},
		Verifier:   nobody{},
		Guard:      nobody{},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range []struct{ method, body string }{{"PUT", "hello"}, {"GET", ""}, {"DELETE", ""}, {"GET", ""}} {
		req := httptest.NewRequest(r.method, "http://localhost/v1/kv/greeting", strings.NewReader(r.body))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		fmt.Printf("%s %d %q\n", r.method, w.Code, w.Header().Get("ETag"))
	}
	// Output:
	// PUT 201 "\"1\""
	// GET 200 "\"1\""
	// DELETE 204 ""
	// GET 404 ""
}
