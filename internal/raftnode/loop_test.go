package raftnode

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// bareLoop is a loop without raft, for what it decides by itself.
func bareLoop(t *testing.T) *loop[int] {
	t.Helper()
	n, err := New(singleConfig(), newTestMachine(), nil)
	must(t, err)
	return newLoop(n, nil, deafTransport{}, &sync.WaitGroup{})
}

// TestRepeatedProbe: what raft sends again after every answer to a heartbeat
// goes out once a tick; everything else goes out.
func TestRepeatedProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bareLoop(t)
		app := func(to, index uint64, ents ...*raftpb.Entry) *raftpb.Message {
			return &raftpb.Message{Type: raftpb.MsgApp.Enum(), To: &to, Index: &index, LogTerm: new(uint64(1)), Entries: ents}
		}
		e := entries(1, 6, 9)
		steps := []struct {
			name string
			wait time.Duration
			m    *raftpb.Message
			want bool
		}{
			{"the first", 0, app(2, 5, e...), false},
			{"the same", 0, app(2, 5, e...), true},
			{"the same to another", 0, app(3, 5, e...), false},
			{"one without entries", 0, app(2, 5), false},
			{"the same, within a tick", l.n.cfg.Tick - 1, app(2, 5, e...), true},
			{"the same, a tick later", 1, app(2, 5, e...), false},
			{"one that begins elsewhere", 0, app(2, 4, e...), false},
			{"a heartbeat", 0, &raftpb.Message{Type: raftpb.MsgHeartbeat.Enum(), To: new(uint64(2))}, false},
		}
		for _, s := range steps {
			time.Sleep(s.wait)
			if got := l.repeats(s.m); got != s.want {
				t.Errorf("%s: held back %v, want %v", s.name, got, s.want)
			}
		}
	})
}

// TestHeartbeatBeyondTheLog: raft would panic on it.
func TestHeartbeatBeyondTheLog(t *testing.T) {
	l := bareLoop(t)
	l.lastIndex = 10
	for _, tt := range []struct {
		typ    raftpb.MessageType
		commit uint64
		want   bool
	}{
		{raftpb.MsgHeartbeat, 10, false},
		{raftpb.MsgHeartbeat, 11, true},
		{raftpb.MsgApp, 11, false}, // raft takes the lower of commit and last itself
	} {
		m := &raftpb.Message{Type: tt.typ.Enum(), From: new(uint64(2)), Commit: new(tt.commit)}
		if got := l.promisesTooMuch(m); got != tt.want {
			t.Errorf("%v with commit %d: refused %v, want %v", tt.typ, tt.commit, got, tt.want)
		}
	}
}
