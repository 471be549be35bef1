package transport

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

func TestMembers(t *testing.T) {
	n := startNode(t, 1, &recorder{removed: func(id uint64) bool { return id == 3 }}, nil)
	n.SetPeers(map[uint64]string{2: "http://127.0.0.1:2", 3: "http://127.0.0.1:3"})
	resp, err := http.Get(n.url + pathMembers)
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer resp.Body.Close()
	var got members
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"1": n.url, "2": "http://127.0.0.1:2"}; !maps.Equal(got.Members, want) {
		t.Errorf("members %v, want %v", got.Members, want)
	}
	if got := resp.Header.Get(headerCluster); got != "0000000000c0ffee" {
		t.Errorf("cluster %q", got)
	}
}

// TestUnknownLeader: member 3 was away while 4 was added, and 4 leads now.
func TestUnknownLeader(t *testing.T) {
	n1, n2 := startNode(t, 1, nil, nil), startNode(t, 2, nil, nil)
	var removed atomic.Bool
	n3 := startNode(t, 3, &recorder{removed: func(id uint64) bool { return id == 4 && removed.Load() }}, nil)
	n4 := startNode(t, 4, nil, nil)
	n1.SetPeers(map[uint64]string{2: n2.url, 3: n3.url}) // behind as well
	n2.SetPeers(map[uint64]string{1: n1.url, 3: n3.url, 4: n4.url})
	n3.SetPeers(map[uint64]string{1: n1.url, 2: n2.url})
	n4.SetPeers(map[uint64]string{1: n1.url, 2: n2.url, 3: n3.url})

	waitFor(t, "the leader to get through, and to be answered", func() bool {
		n4.Send([]*pb.Message{heartbeat(4, 3, 0)})
		n3.Send([]*pb.Message{heartbeat(3, 4, 0)})
		return len(n3.rec.messages(pb.MsgHeartbeat)) > 0 && len(n4.rec.messages(pb.MsgHeartbeat)) > 0
	})
	if p := n3.Stats().Peers[4]; !p.Learned || p.URL != n4.url {
		t.Errorf("the leader is known as %+v", p)
	}

	// The set confirms it: the connections stay.
	reports := n3.rec.unreachables()
	n3.SetPeers(map[uint64]string{1: n1.url, 2: n2.url, 4: n4.url})
	if p := n3.Stats().Peers[4]; p.Learned || !p.Connected {
		t.Errorf("confirmed, the leader is known as %+v", p)
	}
	if got := n3.rec.unreachables(); got != reports {
		t.Error("connections were lost over it")
	}
	// Taken out, it is learned anew as long as others know it.
	n3.SetPeers(map[uint64]string{1: n1.url, 2: n2.url})
	waitFor(t, "it to be learned again", func() bool { return n3.Stats().Peers[4].Learned })
	// Once it counts as removed, it is forgotten at the next change.
	removed.Store(true)
	n3.SetPeers(map[uint64]string{1: n1.url, 2: n2.url})
	waitFor(t, "it to be forgotten", func() bool { _, ok := n3.Stats().Peers[4]; return !ok })
	waitFor(t, "it to hear of that", func() bool { return n4.rec.marked() == 1 })
}

// TestMovedLeader: member 3 was away while 1 moved, and 1 leads now. What it sends
// arrives, but the log does not come on until it is answered.
func TestMovedLeader(t *testing.T) {
	dead := listen(t, "127.0.0.1:0")
	old := "http://" + dead.Addr().String()
	dead.Close()
	n1, n2, n3 := startNode(t, 1, nil, nil), startNode(t, 2, nil, nil), startNode(t, 3, nil, nil)
	n1.SetPeers(map[uint64]string{2: n2.url, 3: n3.url})
	n2.SetPeers(map[uint64]string{1: n1.url, 3: n3.url})
	n3.SetPeers(map[uint64]string{1: old, 2: n2.url})

	waitFor(t, "the leader to be answered", func() bool {
		n3.Send([]*pb.Message{heartbeat(3, 1, 0)})
		return len(n1.rec.messages(pb.MsgHeartbeat)) > 0
	})
	if p := n3.Stats().Peers[1]; !p.Learned || p.URL != n1.url {
		t.Errorf("the leader is known as %+v", p)
	}

	// Asked for once more, as after a dial that failed just before: the connections stay.
	reports := n3.rec.unreachables()
	last := func() (time.Time, bool) {
		n3.mu.Lock()
		defer n3.mu.Unlock()
		return n3.learner.last, n3.learner.busy
	}
	before, _ := last()
	waitFor(t, "the others to be asked", func() bool {
		at, busy := last()
		if at == before {
			n3.learn(1)
		}
		return at != before && !busy
	})
	if p := n3.Stats().Peers[1]; !p.Learned || !p.Connected {
		t.Errorf("asked for once more, the leader is known as %+v", p)
	}

	// The log comes to it: the connections stay.
	n3.SetPeers(map[uint64]string{1: n1.url, 2: n2.url})
	if p := n3.Stats().Peers[1]; p.Learned || !p.Connected {
		t.Errorf("confirmed, the leader is known as %+v", p)
	}
	if got := n3.rec.unreachables(); got != reports {
		t.Error("connections were lost over it")
	}
}

// TestToldWrong: the one that tells where a member is was away itself. The member is
// looked for there, and where the log has it as well.
func TestToldWrong(t *testing.T) {
	wrong, late := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	urls := []string{"http://" + wrong.Addr().String(), "http://" + late.Addr().String()}
	wrong.Close()
	late.Close()
	n2, n3 := startNode(t, 2, nil, nil), startNode(t, 3, nil, nil)
	n2.SetPeers(map[uint64]string{1: urls[0], 3: n3.url})
	n3.SetPeers(map[uint64]string{1: urls[1], 2: n2.url})
	for _, url := range []string{urls[0], urls[1], urls[0], urls[1]} {
		waitFor(t, url, func() bool { return n3.Stats().Peers[1].URL == url })
	}
}

// TestStrangersAreNotLearned: nobody becomes a peer on his own word, nor on
// that of another cluster, and questions are rare.
func TestStrangersAreNotLearned(t *testing.T) {
	var asked atomic.Int32
	var header atomic.Value
	header.Store(formatCluster(7))
	answer := `{"members":{"9":"http://127.0.0.1:9"}}`
	known := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(headerCluster, header.Load().(string))
		w.Header().Set(headerFrom, "2")
		if r.URL.Path != pathMembers {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		asked.Add(1)
		_, _ = w.Write([]byte(answer))
	}))
	defer known.Close()
	n := startNode(t, 1, nil, nil)
	defer n.stopRun()
	n.SetPeers(map[uint64]string{2: known.URL})
	dial := func(from string) int {
		status, _ := ask(t, n, http.MethodPost, pathStream, map[string]string{
			"Connection": "Upgrade", "Upgrade": upgradeToken, headerKind: kindControl,
			headerProtocol: protocolVersion, headerCluster: formatCluster(testCluster), headerFrom: from, headerTo: "1",
		})
		return status
	}
	waitFor(t, "several questions", func() bool { return dial("9") == http.StatusForbidden && asked.Load() > 2 })
	if got := len(n.Stats().Peers); got != 1 {
		t.Errorf("%d peers after answers of another cluster", got)
	}
	header.Store(formatCluster(testCluster))
	waitFor(t, "the one that is a member", func() bool { return dial("9") == http.StatusSwitchingProtocols })
	before := asked.Load()
	for id := 100; id < 200; id++ {
		if got := dial(formatID(uint64(id))); got != http.StatusForbidden {
			t.Errorf("stranger %d: %d", id, got)
		}
	}
	if got := asked.Load() - before; got > 50 {
		t.Errorf("%d questions for 100 strangers", got)
	}
	if got := len(n.Stats().Peers); got != 2 {
		t.Errorf("%d peers", got)
	}
}
