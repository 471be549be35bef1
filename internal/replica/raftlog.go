package replica

import (
	"context"
	"errors"

	"kvd/internal/httpapi"
	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// raftLog is the kvstore.Log over a raft node. It translates errors, which
// neither package could know of the other.
type raftLog struct {
	node *raftnode.Node[kvstore.Result]
}

// Propose implements kvstore.Log.
func (l raftLog) Propose(ctx context.Context, cmd []byte) (kvstore.Result, error) {
	r, err := l.node.Propose(ctx, cmd)
	if err != nil {
		return r, translate(err)
	}
	return r, nil
}

// ReadBarrier implements kvstore.Log. A barrier that ran out of time is one
// that no leader confirmed.
func (l raftLog) ReadBarrier(ctx context.Context) error {
	err := l.node.ReadBarrier(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return &translated{as: kvstore.ErrNoLeader, err: err}
	}
	return translate(err)
}

// translations are the errors of raftnode and what the packages above call them.
var translations = []struct{ from, to error }{
	{raftnode.ErrNoLeader, kvstore.ErrNoLeader},
	{raftnode.ErrOverloaded, kvstore.ErrOverloaded},
	{raftnode.ErrStopped, kvstore.ErrStopping},
	{raftnode.ErrOutcomeUnknown, kvstore.ErrOutcomeUnknown},
	{raftnode.ErrMemberExists, httpapi.ErrMemberExists},
	{raftnode.ErrIDRemoved, httpapi.ErrIDRemoved},
	{raftnode.ErrNoSuchMember, httpapi.ErrNoSuchMember},
	{raftnode.ErrWouldLoseQuorum, httpapi.ErrWouldLoseQuorum},
	{raftnode.ErrConfigChangePending, httpapi.ErrConfigChangePending},
	{raftnode.ErrBadMember, httpapi.ErrBadMember},
	{raftnode.ErrLearnerNotReady, httpapi.ErrLearnerNotReady},
	{raftnode.ErrNotVoter, httpapi.ErrNotVoter},
	{raftnode.ErrNoSnapshot, httpapi.ErrNoSnapshot},
	{raftnode.ErrDiskFull, kvstore.ErrNoSpace},
	{raftnode.ErrDiverged, httpapi.ErrDiverged},
}

// translate gives an error of raftnode the identity that the packages above
// know. Others, such as the end of a context, pass as they are.
func translate(err error) error {
	if err == nil {
		return nil
	}
	for _, t := range translations {
		if errors.Is(err, t.from) {
			return &translated{as: t.to, err: err}
		}
	}
	return err
}

// translated is err with a second identity and its own words.
type translated struct{ as, err error }

func (t *translated) Error() string   { return t.err.Error() }
func (t *translated) Unwrap() []error { return []error{t.as, t.err} }
