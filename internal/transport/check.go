package transport

import (
	"math"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Addresses inside one raft member, which are never on the wire: the library
// takes messages from them for its own (raft.LocalAppendThread and
// raft.LocalApplyThread).
const (
	localAppendThread = math.MaxUint64
	localApplyThread  = math.MaxUint64 - 1
)

// Sizes of contexts. Heartbeats carry a position of raft's own: with 1 to 7
// bytes the library panics.
const (
	heartbeatContextBytes = 8
	maxReadContextBytes   = 128
	campaignTransfer      = "CampaignTransfer" // of a vote that a leader asked for
)

func isLocalTarget(id uint64) bool { return id == localAppendThread || id == localApplyThread }

// onStream says which message types may travel on a stream. Missing on
// purpose: MsgSnap, which has an endpoint of its own; MsgProp and
// MsgTransferLeader, since proposals and wishes of that kind are forwarded as
// requests; and all that a member only says to itself.
func onStream(t pb.MessageType) bool {
	switch t {
	case pb.MsgApp, pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp,
		pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgReadIndex, pb.MsgReadIndexResp, pb.MsgTimeoutNow:
		return true
	}
	return false
}

// checkMessage says what is wrong with a message that came on a stream from
// the peer from. It is nil only for what a correct raft member could have
// sent, as far as that can be told without knowing this member's log.
func checkMessage(m *pb.Message, self, from uint64) error {
	// An absent type, or one unknown to this version, reads as MsgHup.
	typ := m.GetType()
	if !onStream(typ) {
		return violationf("message type %s is not for streams", typ)
	}
	if err := checkEnvelope(m, self, from); err != nil {
		return err
	}
	if m.Snapshot != nil {
		return violationf("%s with a snapshot", typ)
	}
	// Term 0 marks a message as the member's own, which no term check stops.
	// A MsgReadIndex is passed on without a term; with one it would depose.
	if (typ == pb.MsgReadIndex) != (m.GetTerm() == 0) {
		return violationf("%s with term %d", typ, m.GetTerm())
	}
	if err := checkContext(m); err != nil {
		return err
	}
	switch typ {
	case pb.MsgApp:
		return checkAppend(m)
	case pb.MsgReadIndex, pb.MsgReadIndexResp:
		return checkRead(m)
	}
	if len(m.Entries) > 0 {
		return violationf("%s with %d entries", typ, len(m.Entries))
	}
	return nil
}

// checkEnvelope checks what every message of a peer has in common.
func checkEnvelope(m *pb.Message, self, from uint64) error {
	typ := m.GetType()
	if m.GetTo() != self {
		return violationf("%s to %d, this is %d", typ, m.GetTo(), self)
	}
	if m.GetFrom() != from || from == 0 || isLocalTarget(from) {
		return violationf("%s from %d on a connection of %d", typ, m.GetFrom(), from)
	}
	if len(m.Responses) > 0 {
		return violationf("%s with %d responses", typ, len(m.Responses))
	}
	if m.GetVote() != 0 {
		return violationf("%s with a vote", typ)
	}
	return nil
}

func checkContext(m *pb.Message) error {
	typ, n := m.GetType(), len(m.Context)
	switch {
	case n == 0:
		return nil
	case (typ == pb.MsgHeartbeat || typ == pb.MsgHeartbeatResp) && n == heartbeatContextBytes:
		return nil
	case typ == pb.MsgVote && string(m.Context) == campaignTransfer:
		return nil
	}
	return violationf("%s with a context of %d bytes", typ, n)
}

// checkAppend checks that the entries continue from where the message says.
func checkAppend(m *pb.Message) error {
	index, term := m.GetIndex(), m.GetLogTerm()
	if (index == 0) != (term == 0) || term > m.GetTerm() {
		return violationf("MsgApp of term %d after index %d of term %d", m.GetTerm(), index, term)
	}
	if index > math.MaxUint64-uint64(len(m.Entries)) {
		return violationf("MsgApp of %d entries after index %d", len(m.Entries), index)
	}
	for _, e := range m.Entries {
		index++
		if e.GetIndex() != index {
			return violationf("MsgApp with entry %d in the place of %d", e.GetIndex(), index)
		}
		if e.GetTerm() < term || e.GetTerm() == 0 || e.GetTerm() > m.GetTerm() {
			return violationf("MsgApp of term %d with entry %d of term %d after term %d",
				m.GetTerm(), index, e.GetTerm(), term)
		}
		term = e.GetTerm()
		if err := checkEntry(e); err != nil {
			return err
		}
	}
	return nil
}

// checkEntry checks the type of an entry, and that a configuration change can
// be decoded: the library panics over one that cannot, on every member.
func checkEntry(e *pb.Entry) error {
	var change proto.Message
	switch e.GetType() {
	case pb.EntryNormal:
		// The library leaves the type of its own empty entries out. A type
		// that this version does not know is kept as an unknown field.
		if e.Type == nil && len(e.ProtoReflect().GetUnknown()) > 0 {
			return violationf("entry %d of a type unknown here", e.GetIndex())
		}
		return nil
	case pb.EntryConfChange:
		change = new(pb.ConfChange)
	case pb.EntryConfChangeV2:
		change = new(pb.ConfChangeV2)
	default:
		return violationf("entry %d of type %d", e.GetIndex(), e.GetType())
	}
	if err := unmarshal.Unmarshal(e.GetData(), change); err != nil {
		return violationf("configuration change at %d: %v", e.GetIndex(), err)
	}
	return nil
}

// checkRead checks the one entry that names a read; the library panics if
// there is none.
func checkRead(m *pb.Message) error {
	if len(m.Entries) != 1 {
		return violationf("%s with %d entries", m.GetType(), len(m.Entries))
	}
	e := m.Entries[0]
	if n := len(e.GetData()); n == 0 || n > maxReadContextBytes {
		return violationf("%s of a read with a name of %d bytes", m.GetType(), n)
	}
	if e.GetIndex() != 0 || e.GetTerm() != 0 || e.GetType() != pb.EntryNormal {
		return violationf("%s with an entry of the log", m.GetType())
	}
	return nil
}
