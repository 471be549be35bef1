package httpapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kvd/internal/kvstore"
)

// memberChanges are the ways to change a member. asked is what comes of a
// request, planned of the same with dry_run.
var memberChanges = []struct {
	method, target, body string
	status               int
	answer               string // "": none
	asked, planned       string
}{
	{"POST", "/v1/members", `{"id":7,"name":"n7","peer_url":"http://d:1","client_url":"http://d:2","auto_promote":false}`, 201, "",
		"", "plan 1 id=0 member={ID:7 Name:n7 PeerURL:http://d:1 ClientURL:http://d:2 AutoPromote:false} update={} force=false"},
	{"DELETE", "/v1/members/3", "", 204, "",
		"", "plan 2 id=3 member={ID:0 Name: PeerURL: ClientURL: AutoPromote:false} update={} force=false"},
	{"DELETE", "/v1/members/3?force=true", "", 204, "",
		"", "plan 2 id=3 member={ID:0 Name: PeerURL: ClientURL: AutoPromote:false} update={} force=true"},
	{"POST", "/v1/members/3/promote", "", 200,
		`{"id":3,"name":"","peer_url":"http://d:1","client_url":"","role":"voter","started":true}`,
		"promote 3", "plan 3 id=3 member={ID:0 Name: PeerURL: ClientURL: AutoPromote:false} update={} force=false"},
	{"PATCH", "/v1/members/3", `{"peer_url":"http://e:1"}`, 200,
		`{"id":3,"name":"","peer_url":"http://d:1","client_url":"","role":"voter","started":true}`,
		`update 3 {peer_url="http://e:1"}`, `plan 4 id=3 member={ID:0 Name: PeerURL: ClientURL: AutoPromote:false} update={peer_url="http://e:1"} force=false`},
	{"PATCH", "/v1/members/18446744073709551615", `{"name":"","client_url":"http://e:2","auto_promote":false}`, 200, "",
		`update 18446744073709551615 {name=""client_url="http://e:2"auto_promote=false}`,
		`plan 4 id=18446744073709551615 member={ID:0 Name: PeerURL: ClientURL: AutoPromote:false} update={name=""client_url="http://e:2"auto_promote=false} force=false`},
	{"POST", "/v1/members/replace", `{"remove":3,"add":{"peer_url":"http://d:1"}}`, 200,
		`{"id":4,"name":"","peer_url":"http://d:1","client_url":"","role":"voter","started":true}`,
		"replace 3 {ID:0 Name: PeerURL:http://d:1 ClientURL: AutoPromote:true}",
		"plan 5 id=3 member={ID:0 Name: PeerURL:http://d:1 ClientURL: AutoPromote:true} update={} force=false"},
	{"POST", "/v1/members/replace", `{"remove":3,"add":{"id":9,"name":"n9","peer_url":"http://d:1","client_url":"http://d:2"}}`, 200, "",
		"replace 3 {ID:9 Name:n9 PeerURL:http://d:1 ClientURL:http://d:2 AutoPromote:true}",
		"plan 5 id=3 member={ID:9 Name:n9 PeerURL:http://d:1 ClientURL:http://d:2 AutoPromote:true} update={} force=false"},
}

// dry adds dry_run to a target.
func dry(target string) string {
	if strings.Contains(target, "?") {
		return target + "&dry_run=true"
	}
	return target + "?dry_run=true"
}

func TestMemberChanges(t *testing.T) {
	f := newFixture(t)
	for _, tt := range memberChanges {
		body := tt.answer
		if body != "" {
			body += "\n"
		}
		f.want(tt.status, body, tt.method, tt.target, tt.body)
		if got := strings.Join(f.admin.done(), ";"); got != tt.asked {
			t.Errorf("%s %s: asked %s, want %s", tt.method, tt.target, got, tt.asked)
		}
	}
	// The newcomer is there, and has not caught up.
	f.admin.set(func(a *fakeAdmin) { a.waiting = true })
	f.want(202, `{"id":4,"name":"","peer_url":"http://d:1","client_url":"","role":"learner","replaces":3,"started":false}`+"\n",
		"POST", "/v1/members/replace?timeout=1ms", `{"remove":3,"add":{"peer_url":"http://d:1"}}`)
}

// With dry_run each change is only thought of.
func TestDryRun(t *testing.T) {
	f := newFixture(t)
	f.admin.set(func(a *fakeAdmin) {
		a.plan = Plan{VotersBefore: []uint64{1, 2, 3}, VotersAfter: []uint64{1, 2}, QuorumBefore: 2, QuorumAfter: 2, ToleratedBefore: 1}
	})
	const before = `{"voters_before":[1,2,3],"voters_after":[1,2],"quorum_before":2,"quorum_after":2,"tolerated_before":1,"tolerated_after":0,"refused":`
	for _, tt := range memberChanges {
		f.want(200, before+"null}\n", tt.method, dry(tt.target), tt.body)
		if got := strings.Join(f.admin.done(), ";"); got != tt.planned {
			t.Errorf("%s %s: asked %s, want %s", tt.method, tt.target, got, tt.planned)
		}
		f.want(tt.status, "", tt.method, strings.Replace(dry(tt.target), "dry_run=true", "dry_run=false", 1), tt.body)
		f.admin.done()
	}
	if added, removed := len(f.cluster.added), len(f.cluster.removed); added != 1 || removed != 2 {
		t.Errorf("%d members were added and %d removed", added, removed)
	}

	// A refusal is an answer, in the words of the problem that it would be.
	for _, err := range []error{ErrMemberExists, ErrIDRemoved, ErrNoSuchMember, ErrWouldLoseQuorum, ErrConfigChangePending, ErrBadMember, ErrLearnerNotReady} {
		f.admin.set(func(a *fakeAdmin) { a.plan.Refusal = fmt.Errorf("remove 3: %w: reason", err) })
		f.want(200, before+`{"code":"`+problemOf(err).code+`","detail":"remove 3: `+err.Error()+`: reason"}}`+"\n", "DELETE", "/v1/members/3?dry_run=true", "")
	}
	// Nothing was to be changed, so that is what has happened, come what may.
	for _, err := range []error{kvstore.ErrNoLeader, kvstore.ErrOutcomeUnknown, fmt.Errorf("plan: %w", errTimeUp)} {
		f.admin.set(func(a *fakeAdmin) { a.err = err })
		for _, tt := range memberChanges {
			f.wantProblem(503, "no_leader", notApplied, tt.method, dry(tt.target), tt.body)
		}
	}
}

func TestMemberChangeErrors(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		err           error
		status        int
		code, outcome string
	}{
		{ErrLearnerNotReady, 409, "learner_not_ready", notApplied},
		{ErrWouldLoseQuorum, 409, "would_lose_quorum", notApplied},
		{ErrConfigChangePending, 409, "config_change_pending", notApplied},
		{ErrMemberExists, 409, "exists", notApplied},
		{ErrIDRemoved, 409, "id_removed", notApplied},
		{ErrNoSuchMember, 404, "not_found", notApplied},
		{ErrBadMember, 400, "bad_parameter", notApplied},
		{kvstore.ErrNoLeader, 503, "no_leader", notApplied},
		{kvstore.ErrOverloaded, 429, "overloaded", notApplied},
		{kvstore.ErrOutcomeUnknown, 504, "outcome_unknown", unknown},
		{errTimeUp, 504, "outcome_unknown", unknown},
	} {
		err := fmt.Errorf("change 3: %w: 12 entries behind", tt.err)
		f.admin.set(func(a *fakeAdmin) { a.err = err })
		for _, c := range memberChanges {
			if c.asked == "" {
				continue
			}
			if doc := f.wantProblem(tt.status, tt.code, tt.outcome, c.method, c.target, c.body); doc.Detail != err.Error() {
				t.Errorf("%s %s: got detail %q", c.method, c.target, doc.Detail)
			}
		}
	}
}

func TestBadMemberChanges(t *testing.T) {
	f := newFixture(t)
	bad := map[string][]string{ // by method and path: code and body
		"PATCH /v1/members/3": {
			"bad_json ", "bad_json []", `bad_json {"peer_url":1}`, `bad_json {"id":4}`, `bad_json {"role":"voter"}`, `bad_json {"peer_url":"a","peer_url":"b"}`,
			`bad_json {"auto_promote":"yes"}`, "bad_parameter {}", `bad_parameter {"name":null}`, `bad_parameter {"peer_url":""}`,
		},
		"POST /v1/members/replace": {
			"bad_json ", "bad_json null", `bad_json {"remove":"3","add":{"peer_url":"a"}}`, `bad_json {"remove":-1,"add":{"peer_url":"a"}}`,
			`bad_json {"remove":3,"add":{"peer_url":"a","auto_promote":true}}`, `bad_json {"remove":3,"add":{"peer_url":"a"},"force":true}`, `bad_json {"remove":3,"add":[]}`,
			`bad_json {"remove":3,"add":{"peer_url":"a","peer_url":"b"}}`,
			"bad_parameter {}", `bad_parameter {"remove":3}`, `bad_parameter {"remove":3,"add":null}`, `bad_parameter {"remove":3,"add":{}}`, `bad_parameter {"add":{"peer_url":"a"}}`,
			`bad_parameter {"remove":0,"add":{"peer_url":"a"}}`, `bad_parameter {"remove":3,"add":{"id":0,"peer_url":"a"}}`, `bad_parameter {"remove":3,"add":{"id":3,"peer_url":"a"}}`,
		},
		"POST /v1/leader": {"bad_json x", "bad_json []", `bad_json {"to":"2"}`, `bad_json {"to":-1}`, `bad_json {"id":2}`, `bad_json {"to":2,"to":3}`, `bad_parameter {"to":0}`},
	}
	for route, bodies := range bad {
		method, path, _ := strings.Cut(route, " ")
		for _, b := range bodies {
			code, body, _ := strings.Cut(b, " ")
			f.wantProblem(400, code, notApplied, method, path, body)
		}
		f.wantProblem(413, "too_large", notApplied, method, path, `{"name":"`+strings.Repeat("x", maxDocumentBytes)+`"}`)
	}
	for _, id := range []string{"0", "-1", "+3", "03", "abc", "18446744073709551616", "", "3%2F", "3/3"} {
		f.wantProblem(400, "bad_parameter", notApplied, "PATCH", "/v1/members/"+id, `{"name":"x"}`)
		f.wantProblem(400, "bad_parameter", notApplied, "POST", "/v1/members/"+id+"/promote", "")
	}
	for _, tt := range memberChanges {
		path, _, _ := strings.Cut(tt.target, "?")
		for _, query := range []string{"dry_run=yes", "dry_run=", "dry_run", "dry_run=true&dry_run=true", "dryrun=true", "dry-run=true", "timeout=0s", "prev=true"} {
			f.wantProblem(400, "bad_parameter", notApplied, tt.method, path+"?"+query, tt.body)
		}
		if !strings.HasPrefix(tt.method, "DELETE") {
			f.wantProblem(400, "bad_parameter", notApplied, tt.method, path+"?force=true", tt.body)
		}
		f.wantProblem(400, "bad_parameter", notApplied, tt.method, dry(path), tt.body, "Idempotency-Key: 1")
		f.wantProblem(403, "cross_origin", notApplied, tt.method, dry(path), tt.body, "Sec-Fetch-Site: cross-site")
	}
	if did := f.admin.done(); len(did) > 0 {
		t.Errorf("asked for %q", did)
	}
	if f.cluster.added != nil || f.cluster.removed != nil {
		t.Errorf("added %v, removed %v", f.cluster.added, f.cluster.removed)
	}
}

// A path that ends like a promotion, or begins like one, is no other route.
func TestMemberPaths(t *testing.T) {
	rt := newRouter(true)
	for path, want := range map[string]string{
		"/v1/members/3":                 "/v1/members/{id}",
		"/v1/members/3/promote":         "/v1/members/{id}/promote",
		"/v1/members/replace":           "/v1/members/replace",
		"/v1/members/replace/promote":   "/v1/members/{id}/promote",
		"/v1/members/replace/":          "/v1/members/{id}",
		"/v1/members/%72eplace":         "/v1/members/{id}",
		"/v1/snapshots/latest":          "/v1/snapshots/latest",
		"/v1/snapshots/":                "",
		"/v1/snapshots/latest/":         "",
		"/v1/leader/":                   "",
		"/v1/kv/v1/members/3/promote":   "/v1/kv/{key}",
		"/v1/leases/v1/members/promote": "/v1/leases/{id}",
	} {
		if got := rt.resource(path, path).path; got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if !slices.Contains(methodNames[:], "PATCH") || methodNames[methodIndex("PATCH")] != "PATCH" || methodNames[methodIndex("BREW")] != "other" {
		t.Error("requests are counted under other names")
	}
}
