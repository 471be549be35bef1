package clustertest

import (
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
)

// checkPromise checks that a member tells others only what its disk will not
// forget: a vote, and that it holds entries. A member that said so too early
// and then lost its power could vote twice in a term, or let the leader commit
// what nobody has.
func (e *endpoint) checkPromise(m *raftpb.Message) {
	e.n.trace.add(traceMessage, m.GetFrom(), m.GetTo(), uint64(m.GetType()), m.GetTerm(), m.GetIndex())
	if m.GetReject() {
		return
	}
	term, vote := e.disk.promised()
	if term > m.GetTerm() {
		return // it has moved on for good, and what it said earlier counts no more
	}
	switch m.GetType() {
	case raftpb.MsgVoteResp:
		if term != m.GetTerm() || vote != m.GetTo() {
			e.n.report(fmt.Sprintf("member %d told its vote for %d in term %d before it was on its disk", e.id, m.GetTo(), m.GetTerm()))
		}
	case raftpb.MsgAppResp:
		if term != m.GetTerm() || !e.disk.Holds(m.GetIndex()) {
			e.n.report(fmt.Sprintf("member %d told that it holds index %d in term %d before it was on its disk", e.id, m.GetIndex(), m.GetTerm()))
		}
	}
}

// promised is the term and the vote that a crash will not take.
func (d *Disk) promised() (term, vote uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.synced.hardState.GetTerm(), d.synced.hardState.GetVote()
}
