package replica

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"kvd/internal/httpapi"
	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// The compiler checks what the packages expect of each other only where the
// adapters meet them: here they are side by side.
var (
	_ kvstore.Log     = raftLog{}
	_ httpapi.Cluster = clusterView{}
	_ httpapi.Store   = (*kvstore.DB)(nil)
	_ httpapi.Stats   = (*kvstore.Machine)(nil)
)

func TestTranslate(t *testing.T) {
	tests := []struct{ from, to error }{
		{raftnode.ErrNoLeader, kvstore.ErrNoLeader},
		{raftnode.ErrStopped, kvstore.ErrStopping},
		{raftnode.ErrOverloaded, kvstore.ErrOverloaded},
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
	if len(tests) != len(translations) {
		t.Errorf("%d of %d translations are looked at", len(tests), len(translations))
	}
	for _, tt := range tests {
		wrapped := fmt.Errorf("term 7: %w", tt.from)
		got := translate(wrapped)
		if !errors.Is(got, tt.to) || !errors.Is(got, tt.from) || got.Error() != wrapped.Error() {
			t.Errorf("translate(%v) = %v, want it to be %v", wrapped, got, tt.to)
		}
	}
	if err := translate(nil); err != nil {
		t.Errorf("translate(nil) = %v", err)
	}
	if err := translate(context.Canceled); err != context.Canceled {
		t.Errorf("translate(%v) = %v", context.Canceled, err)
	}
}

func TestMemberAsShown(t *testing.T) {
	leader := raftnode.Status{ID: 1, Leader: 1, LastIndex: 100, Progress: map[uint64]raftnode.Progress{
		1: {Match: 100},
		2: {Match: 90, LastContact: 12 * time.Millisecond},
		3: {Match: 101, LastContact: time.Second}, // and has acknowledged more since the status was made
		5: {LastContact: -1},
	}}
	follower := raftnode.Status{ID: 2, Leader: 1, LastIndex: 90}
	tests := []struct {
		name   string
		member raftnode.Member
		status raftnode.Status
		want   httpapi.Member
	}{
		{"the leader, itself", raftnode.Member{ID: 1, Name: "n1", PeerURL: "p", ClientURL: "c"}, leader,
			httpapi.Member{ID: 1, Name: "n1", PeerURL: "p", ClientURL: "c", Role: httpapi.RoleLeader,
				Replication: &httpapi.Replication{Match: 100, Healthy: true}}},
		{"a voter behind", raftnode.Member{ID: 2, AutoPromote: true}, leader,
			httpapi.Member{ID: 2, Role: httpapi.RoleVoter,
				Replication: &httpapi.Replication{Match: 90, Lag: 10, LastContact: httpapi.Duration(12 * time.Millisecond), Healthy: true}}},
		{"a silent learner", raftnode.Member{ID: 3, Learner: true, AutoPromote: true}, leader,
			httpapi.Member{ID: 3, Role: httpapi.RoleLearner, AutoPromote: true,
				Replication: &httpapi.Replication{Match: 101, LastContact: httpapi.Duration(time.Second)}}},
		{"never heard of", raftnode.Member{ID: 5}, leader,
			httpapi.Member{ID: 5, Role: httpapi.RoleVoter,
				Replication: &httpapi.Replication{Lag: 100, LastContact: httpapi.Duration(time.Hour)}}},
		{"unknown to raft yet", raftnode.Member{ID: 4, Learner: true}, leader, httpapi.Member{ID: 4, Role: httpapi.RoleLearner}},
		{"the leader, from a follower", raftnode.Member{ID: 1}, follower, httpapi.Member{ID: 1, Role: httpapi.RoleLeader}},
		{"no leader", raftnode.Member{ID: 1}, raftnode.Status{ID: 1}, httpapi.Member{ID: 1, Role: httpapi.RoleVoter}},
	}
	synctest.Test(t, func(t *testing.T) {
		v := clusterView{electionTimeout: time.Second, born: time.Now()}
		time.Sleep(time.Hour)
		for _, tt := range tests {
			if got := v.member(tt.member, tt.status); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
			}
		}
	})
}
