package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
)

// fakeAdmin is a Membership, Leadership, Snapshots, Verifier and Guard that
// answers what a test put into it and writes down what it was asked to do.
type fakeAdmin struct {
	mu       sync.Mutex
	err      error // of everything that may fail
	plan     Plan
	waiting  bool // a replacement has not caught up
	leader   Leader
	info     SnapshotInfo
	file     []byte // of the newest snapshot; nil: there is none
	opened   int    // files that are open
	read     int    // bytes of files that were read
	readErr  error  // of files, instead of their end
	verified *Verification
	serving  error
	disk     Disk
	did      []string
}

func (a *fakeAdmin) set(f func(a *fakeAdmin)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f(a)
}

// note writes down what was asked, and returns the error to answer with.
func (a *fakeAdmin) note(format string, args ...any) error {
	a.did = append(a.did, fmt.Sprintf(format, args...))
	return a.err
}

// done returns what was asked since the last time.
func (a *fakeAdmin) done() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	did := a.did
	a.did = nil
	return did
}

func (a *fakeAdmin) PlanChange(_ context.Context, c Change) (Plan, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.plan, a.note("plan %d id=%d member=%+v update=%s force=%v", c.Kind, c.ID, c.Member, updateText(c.Update), c.Force)
}

func (a *fakeAdmin) PromoteMember(_ context.Context, id uint64) (Member, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Member{ID: id, PeerURL: "http://d:1", Role: RoleVoter, Started: true}, a.note("promote %d", id)
}

func (a *fakeAdmin) UpdateMember(_ context.Context, id uint64, u MemberUpdate) (Member, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Member{ID: id, PeerURL: "http://d:1", Role: RoleVoter, Started: true}, a.note("update %d %s", id, updateText(u))
}

func (a *fakeAdmin) ReplaceMember(_ context.Context, remove uint64, add NewMember) (Member, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	m := Member{ID: max(add.ID, 4), PeerURL: add.PeerURL, Role: RoleVoter, Started: true}
	if a.waiting {
		m.Role, m.Replaces, m.Started = RoleLearner, remove, false
	}
	return m, !a.waiting, a.note("replace %d %+v", remove, add)
}

func (a *fakeAdmin) Leader() (Leader, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leader, a.leader.ID != 0
}

func (a *fakeAdmin) TransferLeadership(_ context.Context, to uint64) (Leader, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return Leader{ID: max(to, 2), Term: 8, ClientURL: "http://b:2"}, a.note("transfer %d", to)
}

func (a *fakeAdmin) TakeSnapshot(context.Context) (SnapshotInfo, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.info, a.note("snapshot")
}

func (a *fakeAdmin) OpenSnapshot() (SnapshotInfo, io.ReadSeekCloser, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return SnapshotInfo{}, nil, a.err
	}
	if a.file == nil {
		return SnapshotInfo{}, nil, fmt.Errorf("open: %w", ErrNoSnapshot)
	}
	a.opened++
	return a.info, &fakeFile{a, bytes.NewReader(a.file)}, nil
}

func (a *fakeAdmin) Verify(context.Context) (Verification, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.note("verify"); err != nil || a.verified == nil {
		return Verification{}, err
	}
	return *a.verified, nil
}

func (a *fakeAdmin) LastVerification() (Verification, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.verified == nil {
		return Verification{}, false
	}
	return *a.verified, true
}

func (a *fakeAdmin) Serving() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.serving
}

func (a *fakeAdmin) Disk() Disk {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.disk
}

// fakeFile counts what is read of it.
type fakeFile struct {
	a *fakeAdmin
	*bytes.Reader
}

func (f *fakeFile) Read(b []byte) (int, error) {
	f.a.mu.Lock()
	defer f.a.mu.Unlock()
	if f.a.readErr != nil {
		return 0, f.a.readErr
	}
	n, err := f.Reader.Read(b)
	f.a.read += n
	return n, err
}

// WriteTo hides the one of bytes.Reader, which counts nothing.
func (f *fakeFile) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{f})
}

func (f *fakeFile) Close() error {
	f.a.mu.Lock()
	defer f.a.mu.Unlock()
	f.a.opened--
	return nil
}

// updateText shows an update without its pointers.
func updateText(u MemberUpdate) string {
	text := "{"
	for _, s := range []struct {
		name string
		to   *string
	}{{"name", u.Name}, {"peer_url", u.PeerURL}, {"client_url", u.ClientURL}} {
		if s.to != nil {
			text += fmt.Sprintf("%s=%q", s.name, *s.to)
		}
	}
	if u.AutoPromote != nil {
		text += fmt.Sprintf("auto_promote=%v", *u.AutoPromote)
	}
	return text + "}"
}
