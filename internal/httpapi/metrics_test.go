package httpapi

import (
	"strings"
	"testing"
	"time"
)

func TestMetrics(t *testing.T) {
	f := newFixture(t)
	newFixture(t).want(200, "", "GET", "/metrics", "") // two in one process do not meet
	f.cluster.set(func(c *fakeCluster) {
		c.state = Status{ID: 1, Name: "n1", ClusterID: 0xabc, Term: 7, Leader: 1, Commit: 40, Applied: 39, FirstIndex: 3, LastIndex: 41, SnapshotIndex: 2,
			Clock: Duration(90 * time.Second), Voters: []uint64{1, 2}, Progress: []Progress{{ID: 2, Match: 38, RecentActive: true, LastContact: Duration(time.Second / 4)}}}
		c.age = time.Second / 2
	})
	f.do("PUT", "/v1/kv/key", "value")
	f.do("PUT", "/v1/kv/key", "value", "Idempotency-Key: 1")
	f.do("POST", "/v1/leases", `{"ttl":"30s"}`)
	f.do("GET", "/v1/kv/key", "")
	f.do("GET", "/v1/kv/none", "")
	f.do("HEAD", "/v1/kv/key", "", `If-None-Match: "2"`)
	f.do("BREW", "/v1/kv/key", "")

	body := readAll(t, f.do("GET", "/metrics", ""))
	for line := range strings.SplitSeq(strings.TrimSpace(`
kvd_http_requests_total{code="2xx",method="PUT"} 2
kvd_http_requests_total{code="2xx",method="GET"} 1
kvd_http_requests_total{code="4xx",method="GET"} 1
kvd_http_requests_total{code="3xx",method="HEAD"} 1
kvd_http_requests_total{code="4xx",method="other"} 1
kvd_http_requests_in_flight 1
kvd_http_draining 0
kvd_build_info{version="v1.2.3"} 1
kvd_store_keys 1
kvd_store_bytes 8
kvd_store_revision 2
kvd_store_compacted_revision 0
kvd_leases 1
kvd_requests 1
kvd_raft_member_info{cluster_id="0000000000000abc",id="1",name="n1"} 1
kvd_raft_term 7
kvd_raft_leader_id 1
kvd_raft_is_leader 1
kvd_raft_commit_index 40
kvd_raft_applied_index 39
kvd_raft_first_index 3
kvd_raft_last_index 41
kvd_raft_snapshot_index 2
kvd_raft_clock_seconds 90
kvd_raft_voters 2
kvd_raft_learners 0
kvd_raft_staleness_seconds 0.5
kvd_raft_peer_match_index{peer="2"} 38
kvd_raft_peer_active{peer="2"} 1
kvd_raft_peer_last_contact_seconds{peer="2"} 0.25`), "\n") {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("no %s", line)
		}
	}
	for _, name := range []string{"go_goroutines", "process_start_time_seconds", "kvd_store_history_bytes", "kvd_used_bytes"} {
		if !strings.Contains(body, "\n"+name+" ") {
			t.Errorf("no %s", name)
		}
	}
	if got := f.h.metrics.inFlight.Load(); got != 0 {
		t.Errorf("%d in flight", got)
	}
	one := readAll(t, f.do("GET", "/metrics?name[]=kvd_raft_term", ""))
	if !strings.Contains(one, "kvd_raft_term 7") || strings.Contains(one, "go_goroutines") {
		t.Errorf("one metric: %s", one)
	}
	f.wantProblem(400, "bad_parameter", "", "GET", "/metrics?x=1", "")
}
