package transport

import (
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
)

// checkSnapshotMessage says what is wrong with a message that came at the head
// of a snapshot from the peer from.
func checkSnapshotMessage(m *pb.Message, self, from uint64) error {
	if m.GetType() != pb.MsgSnap {
		return violationf("message type %s at the head of a snapshot", m.GetType())
	}
	if err := checkEnvelope(m, self, from); err != nil {
		return err
	}
	if m.GetTerm() == 0 || len(m.Entries) > 0 || len(m.Context) > 0 {
		return violationf("MsgSnap of term %d with %d entries", m.GetTerm(), len(m.Entries))
	}
	meta := m.GetSnapshot().GetMetadata()
	if meta.GetIndex() == 0 || meta.GetTerm() == 0 || meta.GetTerm() > m.GetTerm() {
		return violationf("snapshot at index %d of term %d in term %d", meta.GetIndex(), meta.GetTerm(), m.GetTerm())
	}
	if n := len(m.GetSnapshot().GetData()); n > 0 {
		return violationf("snapshot with %d bytes inside its message", n)
	}
	return checkConfState(meta.GetConfState())
}

// checkConfState accepts the configurations that a group can have. The library
// panics when it restores any other.
func checkConfState(cs *pb.ConfState) error {
	voters, outgoing := cs.GetVoters(), cs.GetVotersOutgoing()
	learners, next := cs.GetLearners(), cs.GetLearnersNext()
	for _, ids := range [][]uint64{voters, outgoing, learners, next} {
		seen := make(map[uint64]struct{}, len(ids))
		for _, id := range ids {
			if _, twice := seen[id]; twice || id == 0 || isLocalTarget(id) {
				return violationf("configuration with member %d", id)
			}
			seen[id] = struct{}{}
		}
	}
	in := func(ids []uint64) func(uint64) bool {
		set := make(map[uint64]struct{}, len(ids))
		for _, id := range ids {
			set[id] = struct{}{}
		}
		return func(id uint64) bool { _, ok := set[id]; return ok }
	}
	isVoter, isOutgoing, isLearner := in(voters), in(outgoing), in(learners)
	switch {
	case len(voters) == 0:
		return violationf("configuration without voters")
	case slices.ContainsFunc(learners, isVoter), slices.ContainsFunc(learners, isOutgoing):
		return violationf("configuration with a learner that is a voter")
	case slices.ContainsFunc(next, isVoter), slices.ContainsFunc(next, isLearner):
		return violationf("configuration with a learner to be that is something else")
	case slices.ContainsFunc(next, func(id uint64) bool { return !isOutgoing(id) }):
		return violationf("configuration with a learner to be that was no voter")
	case len(outgoing) == 0 && cs.GetAutoLeave():
		return violationf("configuration that leaves what it is not in")
	}
	return nil
}
