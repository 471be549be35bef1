package httpapi

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

func TestMembers(t *testing.T) {
	f := newFixture(t)
	f.want(200, "[]\n", "GET", "/v1/members", "")
	f.cluster.set(func(c *fakeCluster) {
		c.members = []Member{
			{ID: 1, Name: "n1", PeerURL: "http://a:1", ClientURL: "http://a:2", Role: RoleLeader, Started: true,
				Replication: &Replication{Match: 9, LastContact: Duration(12 * time.Millisecond), Healthy: true}},
			{ID: 2, Name: "n2", PeerURL: "http://b:1", Role: RoleLearner, AutoPromote: true},
		}
	})
	f.want(200, `[{"id":1,"name":"n1","peer_url":"http://a:1","client_url":"http://a:2","role":"leader","started":true,"match":9,"lag":0,"last_contact":"12ms","healthy":true},`+
		`{"id":2,"name":"n2","peer_url":"http://b:1","client_url":"","role":"learner","auto_promote":true,"started":false}]`+"\n", "GET", "/v1/members", "")

	f.want(201, `{"id":4,"name":"","peer_url":"http://d:1","client_url":"http://d:2","role":"learner","auto_promote":true,"started":false}`+"\n",
		"POST", "/v1/members", `{"peer_url":"http://d:1","client_url":"http://d:2","role":"learner"}`)
	f.want(201, "", "POST", "/v1/members", `{"id":7,"name":"n7","peer_url":"http://e:1","auto_promote":false}`, "Content-Type: application/x-www-form-urlencoded")
	want := []NewMember{
		{PeerURL: "http://d:1", ClientURL: "http://d:2", AutoPromote: true},
		{ID: 7, Name: "n7", PeerURL: "http://e:1"},
	}
	if !reflect.DeepEqual(f.cluster.added, want) {
		t.Errorf("got %+v, want %+v", f.cluster.added, want)
	}

	f.want(204, "", "DELETE", "/v1/members/3", "")
	f.want(204, "", "DELETE", "/v1/members/18446744073709551615?force=true", "")
	if got := strings.Join(f.cluster.removed, ","); got != "3,18446744073709551615 force" {
		t.Errorf("removed %s", got)
	}
}

func TestMemberErrors(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		err           error
		status        int
		code, outcome string
	}{
		{ErrMemberExists, 409, "exists", notApplied},
		{ErrIDRemoved, 409, "id_removed", notApplied},
		{ErrNoSuchMember, 404, "not_found", notApplied},
		{ErrWouldLoseQuorum, 409, "would_lose_quorum", notApplied},
		{ErrConfigChangePending, 409, "config_change_pending", notApplied},
		{ErrBadMember, 400, "bad_parameter", notApplied},
		{kvstore.ErrNoLeader, 503, "no_leader", notApplied},
		{kvstore.ErrOutcomeUnknown, 504, "outcome_unknown", unknown},
	} {
		err := fmt.Errorf("change membership: %w: some reason", tt.err)
		f.cluster.set(func(c *fakeCluster) { c.err = err })
		doc := f.wantProblem(tt.status, tt.code, tt.outcome, "POST", "/v1/members", `{"peer_url":"http://d:1"}`)
		if doc.Detail != err.Error() {
			t.Errorf("got detail %q", doc.Detail)
		}
		f.wantProblem(tt.status, tt.code, tt.outcome, "DELETE", "/v1/members/3", "")
	}
	f.wantProblem(503, "no_leader", "", "GET", "/v1/members", "")
}

func TestBadMemberRequests(t *testing.T) {
	f := newFixture(t)
	for body, code := range map[string]string{
		``:                                    "bad_json",
		`{`:                                   "bad_json",
		`[]`:                                  "bad_json",
		`null`:                                "bad_json",
		`"x"`:                                 "bad_json",
		`{"peer_url":"http://d:1"} {}`:        "bad_json",
		`{"peer_url":"http://d:1"}x`:          "bad_json",
		`{"peer_url":"http://d:1","x":1}`:     "bad_json",
		`{"peer_url":"http://d:1","id":"4"}`:  "bad_json",
		`{"peer_url":"http://d:1","id":-1}`:   "bad_json",
		`{"peer_url":"http://d:1","id":1.5}`:  "bad_json",
		`{"peer_url":"http://d:1","id":1e30}`: "bad_json",
		`{"peer_url":"a","peer_url":"b"}`:     "bad_json",
		`{"peer_url":"a","Peer_URL":"b"}`:     "bad_json",
		`{"peer_url":["a"]}`:                  "bad_json",
		`{"x":{"a":1,"a":2}}`:                 "bad_json",
		strings.Repeat(`{"a":`, 100):          "bad_json",
		`{"a":` + strings.Repeat(`[`, 1000):   "bad_json",
		`{"id":0,"peer_url":"http://d:1"}`:    "bad_parameter",
		`{}`:                                  "bad_parameter",
		`{"peer_url":"http://d:1","role":"voter"}`: "bad_parameter",
	} {
		f.wantProblem(400, code, notApplied, "POST", "/v1/members", body)
	}
	f.wantProblem(413, "too_large", notApplied, "POST", "/v1/members", `{"name":"`+strings.Repeat("x", maxDocumentBytes)+`"}`)
	for _, id := range []string{"0", "-1", "+3", "03", "abc", "3/", "18446744073709551616", "", "3%2F"} {
		f.wantProblem(400, "bad_parameter", notApplied, "DELETE", "/v1/members/"+id, "")
	}
	f.wantProblem(400, "bad_parameter", notApplied, "DELETE", "/v1/members/3?force=yes", "")
	f.wantProblem(400, "bad_parameter", notApplied, "DELETE", "/v1/members/3", "", "Idempotency-Key: 1")
	f.wantProblem(400, "bad_parameter", notApplied, "POST", "/v1/members?dry_run=true", `{}`)
	f.wantProblem(400, "bad_parameter", notApplied, "DELETE", "/v1/members/3?dry_run=1", "")
	if f.cluster.added != nil || f.cluster.removed != nil {
		t.Errorf("added %v, removed %v", f.cluster.added, f.cluster.removed)
	}
}

func TestStatus(t *testing.T) {
	f := newFixture(t)
	f.do("PUT", "/v1/kv/key", "value")
	f.want(200, `{"id":0,"name":"","cluster_id":"0000000000000000","term":0,"leader":0,"role":"","commit":0,"applied":0,"first_index":0,"last_index":0,"snapshot_index":0,"clock":"0s","voters":[],"learners":[],"progress":[],`+
		`"revision":1,"keys":1,"bytes":8,"compacted_revision":0,"history_bytes":0,"can_lose":null,"staleness":"0s","disk":{"free_bytes":0,"reserve_bytes":0,"short":[]},"diverged":null,"draining":false,"version":"v1.2.3","go":"`+goVersion+`"}`+"\n", "GET", "/v1/status", "")
	f.cluster.set(func(c *fakeCluster) {
		c.state = Status{ID: 1, Name: "n1", ClusterID: 0xabc, Leader: 1, Role: "leader", Voters: []uint64{1, 2, 3}, Learners: []uint64{4},
			Progress: []Progress{{ID: 2, Match: 5, RecentActive: true, LastContact: Duration(time.Second)}, {ID: 3}, {ID: 4, RecentActive: true, Learner: true}}}
		c.err = kvstore.ErrNoLeader
	})
	body := readAll(t, f.do("GET", "/v1/status", ""))
	for _, want := range []string{`"cluster_id":"0000000000000abc"`, `"can_lose":0`, `"voters":[1,2,3]`, `{"id":2,"match":5,"next":0,"state":"","recent_active":true,"learner":false,"last_contact":"1s"}`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	f.cluster.set(func(c *fakeCluster) { c.state.Progress[1].RecentActive = true })
	if body := readAll(t, f.do("GET", "/v1/status", "")); !strings.Contains(body, `"can_lose":1,`) {
		t.Errorf("got %s", body)
	}
	f.want(200, `{"api":"v1","go":"`+goVersion+`","version":"v1.2.3"}`+"\n", "GET", "/version", "")
	f.wantProblem(400, "bad_parameter", "", "GET", "/v1/status?x=1", "")
	f.wantProblem(400, "bad_parameter", "", "GET", "/version?x=1", "")
}
