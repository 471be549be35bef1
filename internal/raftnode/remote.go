package raftnode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
)

// askPeer sends a request of a kind to another member, both it and the answer
// as JSON. sent is false when it surely never reached anybody.
func (n *Node[R]) askPeer(ctx context.Context, to uint64, kind byte, req, reply any) (sent bool, err error) {
	if to == raft.None {
		return false, errNotLeader
	}
	b, err := json.Marshal(req)
	if err != nil {
		return false, err
	}
	answer, sent, err := n.peers.tr.Forward(ctx, to, append([]byte{kind}, b...))
	if err != nil || !sent {
		return sent, err
	}
	return true, json.Unmarshal(answer, reply)
}

// changeReply is the leader's answer to a Change.
type changeReply struct {
	Member Member `json:"member"`
	remoteError
}

// remoteError is an error of another member. Errors cross by name, since only
// sentinels can be told apart on the other side, and keep their words.
type remoteError struct {
	Name string `json:"error,omitempty"`
	Text string `json:"text,omitempty"`
}

// remoteErrors are those that say that surely nothing was done.
var remoteErrors = map[string]error{
	"bad_member":            ErrBadMember,
	"exists":                ErrMemberExists,
	"id_removed":            ErrIDRemoved,
	"not_found":             ErrNoSuchMember,
	"not_voter":             ErrNotVoter,
	"learner_not_ready":     ErrLearnerNotReady,
	"would_lose_quorum":     ErrWouldLoseQuorum,
	"config_change_pending": ErrConfigChangePending,
	"not_leader":            errNotLeader,
	"unsettled":             errUnsettled,
	"withdrawn":             errWithdrawn,
	"no_leader":             ErrNoLeader,
	"stopped":               errNotLeader, // one that stops leads no more
}

func newRemoteError(err error) remoteError {
	if err == nil {
		return remoteError{}
	}
	if errors.Is(err, ErrStopped) {
		return remoteError{"stopped", err.Error()}
	}
	for name, sentinel := range remoteErrors {
		if errors.Is(err, sentinel) {
			return remoteError{name, err.Error()}
		}
	}
	return remoteError{"unknown", err.Error()}
}

func (r remoteError) err() error {
	if r.Name == "" {
		return nil
	}
	if sentinel, ok := remoteErrors[r.Name]; ok {
		return &toldError{sentinel, r.Text}
	}
	return fmt.Errorf("%w: %s", ErrOutcomeUnknown, r.Text)
}

// toldError is a sentinel with the words of another member.
type toldError struct {
	sentinel error
	text     string
}

func (e *toldError) Error() string { return e.text }
func (e *toldError) Unwrap() error { return e.sentinel }
