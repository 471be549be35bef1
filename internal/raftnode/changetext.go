package raftnode

import (
	"encoding/json"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// describeChange says for people what an entry asks of the membership.
func describeChange(e *raftpb.Entry) string {
	if e.GetType() == raftpb.EntryConfChangeV2 {
		cc := &raftpb.ConfChangeV2{}
		if err := proto.Unmarshal(e.GetData(), cc); err != nil {
			return "cannot be read"
		}
		if cc.LeaveJoint() {
			return "complete the change of several members"
		}
		if in, out, ok := swapped(cc); ok {
			return fmt.Sprintf("put member %d in the place of member %d", in, out)
		}
		return "change several members"
	}
	cc, c := &raftpb.ConfChange{}, changeContext{}
	if err := proto.Unmarshal(e.GetData(), cc); err != nil {
		return "cannot be read"
	}
	// Without what goes with it the text is shorter, and still right.
	_ = json.Unmarshal(cc.GetContext(), &c)
	id := cc.GetNodeId()
	switch cc.GetType() {
	case raftpb.ConfChangeAddNode:
		if c.Member.PeerURL == "" {
			return fmt.Sprintf("make member %d a voter", id)
		}
		return fmt.Sprintf("add member %d at %s as a voter", id, c.Member.PeerURL)
	case raftpb.ConfChangeAddLearnerNode:
		return fmt.Sprintf("add member %d at %s as a learner", id, c.Member.PeerURL)
	case raftpb.ConfChangeRemoveNode:
		return fmt.Sprintf("remove member %d", id)
	case raftpb.ConfChangeUpdateNode:
		return fmt.Sprintf("change the addresses of member %d", id)
	}
	return fmt.Sprintf("%v of member %d", cc.GetType(), id)
}
