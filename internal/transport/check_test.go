package transport

import (
	"math"
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// msg builds a message from member 2 to member 1 in term 5.
func msg(typ pb.MessageType, change func(*pb.Message)) *pb.Message {
	m := &pb.Message{Type: typ.Enum(), From: new(uint64(2)), To: new(uint64(1)), Term: new(uint64(5))}
	if change != nil {
		change(m)
	}
	return m
}

func entry(index, term uint64) *pb.Entry {
	return &pb.Entry{Index: new(index), Term: new(term), Type: pb.EntryNormal.Enum()}
}

// app is a MsgApp after index 10 of term 4.
func app(entries ...*pb.Entry) *pb.Message {
	return msg(pb.MsgApp, func(m *pb.Message) {
		m.Index, m.LogTerm, m.Entries = new(uint64(10)), new(uint64(4)), entries
	})
}

func typed(typ pb.EntryType, data []byte) *pb.Entry {
	e := entry(11, 5)
	e.Type, e.Data = typ.Enum(), data
	return e
}

func TestCheckMessage(t *testing.T) {
	change, err := proto.Marshal(&pb.ConfChange{Type: pb.ConfChangeAddNode.Enum(), NodeId: new(uint64(4))})
	if err != nil {
		t.Fatal(err)
	}
	unknownType := entry(11, 5)
	unknownType.Type = nil
	unknownType.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 77))
	noType := entry(11, 5)
	noType.Type = nil
	read := []*pb.Entry{{Data: []byte("read 1")}}

	tests := []struct {
		name string
		m    *pb.Message
		want string // part of the error, empty for none
	}{
		{"append", app(entry(11, 4), entry(12, 5)), ""},
		{"append, empty", app(), ""},
		{"append at the start", msg(pb.MsgApp, func(m *pb.Message) { m.Entries = []*pb.Entry{entry(1, 1)} }), ""},
		{"append, entry without type", app(noType), ""},
		{"append, configuration change", app(typed(pb.EntryConfChange, change)), ""},
		{"append, empty configuration change", app(typed(pb.EntryConfChangeV2, nil)), ""},
		{"heartbeat", msg(pb.MsgHeartbeat, nil), ""},
		{"heartbeat with context", msg(pb.MsgHeartbeat, func(m *pb.Message) { m.Context = make([]byte, 8) }), ""},
		{"heartbeat answer with context", msg(pb.MsgHeartbeatResp, func(m *pb.Message) { m.Context = make([]byte, 8) }), ""},
		{"vote", msg(pb.MsgVote, func(m *pb.Message) { m.Index, m.LogTerm = new(uint64(3)), new(uint64(2)) }), ""},
		{"vote for a transfer", msg(pb.MsgVote, func(m *pb.Message) { m.Context = []byte(campaignTransfer) }), ""},
		{"read", msg(pb.MsgReadIndex, func(m *pb.Message) { m.Term, m.Entries = nil, read }), ""},
		{"read answer", msg(pb.MsgReadIndexResp, func(m *pb.Message) { m.Entries = read }), ""},
		{"timeout now", msg(pb.MsgTimeoutNow, nil), ""},

		{"no type", &pb.Message{From: new(uint64(2)), To: new(uint64(1))}, "MsgHup"},
		{"to another", msg(pb.MsgHeartbeat, func(m *pb.Message) { m.To = new(uint64(3)) }), "to 3"},
		{"to nobody", msg(pb.MsgHeartbeat, func(m *pb.Message) { m.To = nil }), "to 0"},
		{"from another", msg(pb.MsgHeartbeat, func(m *pb.Message) { m.From = new(uint64(3)) }), "from 3"},
		{"from nobody", msg(pb.MsgHeartbeat, func(m *pb.Message) { m.From = nil }), "from 0"},
		{"from the log", msg(pb.MsgAppResp, func(m *pb.Message) { m.From = new(uint64(math.MaxUint64)) }), "from"},
		{"from the state machine", msg(pb.MsgAppResp, func(m *pb.Message) { m.From = new(uint64(math.MaxUint64 - 1)) }), "from"},
		{"heartbeat without term", msg(pb.MsgHeartbeat, func(m *pb.Message) { m.Term = nil }), "term 0"},
		{"append without term", msg(pb.MsgApp, func(m *pb.Message) { m.Term = nil }), "term 0"},
		{"read with term", msg(pb.MsgReadIndex, func(m *pb.Message) { m.Entries = read }), "term 5"},
		{"with responses", msg(pb.MsgHeartbeat, func(m *pb.Message) { m.Responses = []*pb.Message{msg(pb.MsgAppResp, nil)} }), "responses"},
		{"with a snapshot", msg(pb.MsgHeartbeat, func(m *pb.Message) { m.Snapshot = new(pb.Snapshot) }), "snapshot"},
		{"with a vote", msg(pb.MsgHeartbeat, func(m *pb.Message) { m.Vote = new(uint64(1)) }), "vote"},
		{"heartbeat with entries", msg(pb.MsgHeartbeat, func(m *pb.Message) { m.Entries = read }), "entries"},
		{"heartbeat with 3 bytes of context", msg(pb.MsgHeartbeat, func(m *pb.Message) { m.Context = make([]byte, 3) }), "context"},
		{"heartbeat answer with 7 bytes of context", msg(pb.MsgHeartbeatResp, func(m *pb.Message) { m.Context = make([]byte, 7) }), "context"},
		{"heartbeat answer with 9 bytes of context", msg(pb.MsgHeartbeatResp, func(m *pb.Message) { m.Context = make([]byte, 9) }), "context"},
		{"append with context", msg(pb.MsgApp, func(m *pb.Message) { m.Context = make([]byte, 8) }), "context"},
		{"vote with another context", msg(pb.MsgVote, func(m *pb.Message) { m.Context = []byte("force") }), "context"},
		{"read of nothing", msg(pb.MsgReadIndex, func(m *pb.Message) { m.Term = nil }), "0 entries"},
		{"read of two", msg(pb.MsgReadIndex, func(m *pb.Message) { m.Term, m.Entries = nil, []*pb.Entry{read[0], read[0]} }), "2 entries"},
		{"read without a name", msg(pb.MsgReadIndex, func(m *pb.Message) { m.Term, m.Entries = nil, []*pb.Entry{{}} }), "0 bytes"},
		{"read with a long name", msg(pb.MsgReadIndex, func(m *pb.Message) {
			m.Term, m.Entries = nil, []*pb.Entry{{Data: make([]byte, maxReadContextBytes+1)}}
		}), "129 bytes"},
		{"read of an entry", msg(pb.MsgReadIndex, func(m *pb.Message) {
			m.Term, m.Entries = nil, []*pb.Entry{{Data: []byte("x"), Index: new(uint64(1))}}
		}), "entry of the log"},
		{"read answer with nothing", msg(pb.MsgReadIndexResp, nil), "0 entries"},
		{"append with a gap", app(entry(12, 5)), "in the place of 11"},
		{"append with a gap inside", app(entry(11, 5), entry(13, 5)), "in the place of 12"},
		{"append with an entry twice", app(entry(11, 5), entry(11, 5)), "in the place of 12"},
		{"append with falling terms", app(entry(11, 5), entry(12, 4)), "term 4"},
		{"append with a term before", app(entry(11, 3)), "term 3"},
		{"append with a term to come", app(entry(11, 6)), "term 6"},
		{"append with a log term to come", msg(pb.MsgApp, func(m *pb.Message) { m.Index, m.LogTerm = new(uint64(1)), new(uint64(6)) }), "term 6"},
		{"append after an index without term", msg(pb.MsgApp, func(m *pb.Message) { m.Index = new(uint64(1)) }), "term 0"},
		{"append after no index with term", msg(pb.MsgApp, func(m *pb.Message) { m.LogTerm = new(uint64(1)) }), "index 0"},
		{"append past the last index", msg(pb.MsgApp, func(m *pb.Message) {
			m.Index, m.LogTerm, m.Entries = new(uint64(math.MaxUint64)), new(uint64(5)), []*pb.Entry{entry(0, 5)}
		}), "1 entries"},
		{"append of an unknown type", app(unknownType), "unknown"},
		{"append of an impossible type", app(typed(9, nil)), "type 9"},
		{"append of a broken change", app(typed(pb.EntryConfChange, []byte{0xff})), "configuration change"},
		{"append of a broken V2 change", app(typed(pb.EntryConfChangeV2, []byte("nonsense"))), "configuration change"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := checkMessage(tt.m, 1, 2)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

// TestTypesOnStreams goes through all types that the library knows.
func TestTypesOnStreams(t *testing.T) {
	allowed := map[pb.MessageType]bool{
		pb.MsgApp: true, pb.MsgAppResp: true, pb.MsgVote: true, pb.MsgVoteResp: true,
		pb.MsgHeartbeat: true, pb.MsgHeartbeatResp: true, pb.MsgReadIndex: true, pb.MsgReadIndexResp: true,
		pb.MsgTimeoutNow: true, pb.MsgPreVote: true, pb.MsgPreVoteResp: true,
	}
	for n, name := range pb.MessageType_name {
		typ := pb.MessageType(n)
		if got := onStream(typ); got != allowed[typ] {
			t.Errorf("%s on a stream: %v", name, got)
		}
		err := checkMessage(msg(typ, func(m *pb.Message) {
			if typ == pb.MsgReadIndex {
				m.Term = nil
			}
			if typ == pb.MsgReadIndex || typ == pb.MsgReadIndexResp {
				m.Entries = []*pb.Entry{{Data: []byte("r")}}
			}
		}), 1, 2)
		if (err == nil) != allowed[typ] {
			t.Errorf("%s: %v", name, err)
		}
	}
}
