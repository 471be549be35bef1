package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"kvd/internal/kvstore"
)

// contractRow is one request, and the status that it gets in a store where
// these are: a (revision 2, replaced), bin (bytes), dir/x and dir/y, held (of a
// lease), short (with a TTL), gone (deleted), and revisions below 2 compacted.
type contractRow struct {
	status  int
	method  string
	target  string // {lease} stands for the lease's id
	body    string
	headers []string
	set     func(f *fixture) // beyond the usual
	server  ServerConfig
	length  int64 // Content-Length of a body that does not come
	lines   int   // to be read, of an answer that does not end
}

func (row contractRow) String() string {
	return fmt.Sprintf("%d from %s %.100s %q", row.status, row.method, row.target, row.headers)
}

// seed makes the store what the rows are written for.
func (row *contractRow) seed(f *fixture) {
	f.t.Helper()
	for _, r := range []struct{ method, target, body string }{
		{"PUT", "/v1/kv/a", "old"}, {"PUT", "/v1/kv/a", "1"}, {"PUT", "/v1/kv/bin%FF", "\xff"}, {"PUT", "/v1/kv/dir/x", "2"}, {"PUT", "/v1/kv/dir/y", "3"},
		{"PUT", "/v1/kv/gone", "4"}, {"DELETE", "/v1/kv/gone", ""}, {"PUT", "/v1/kv/dir%FF/z", "5"},
		{"POST", "/v1/compact", `{"revision":2}`}, {"PUT", "/v1/kv/short?ttl=1h", "6"},
	} {
		if resp := f.do(r.method, r.target, r.body); resp.StatusCode >= 300 {
			f.t.Fatalf("seed %s %s: %d", r.method, r.target, resp.StatusCode)
		}
	}
	f.do("PUT", "/v1/kv/once", "7", "Idempotency-Key: once")
	location := f.do("POST", "/v1/leases", `{"ttl":"1m"}`).Header.Get("Location")
	lease := location[strings.LastIndexByte(location, '/')+1:]
	f.do("PUT", "/v1/kv/held?lease="+lease, "8")
	f.do("PUT", "/v1/kv/held%FF?lease="+lease, "9")
	f.cluster.set(func(c *fakeCluster) {
		c.state = Status{ID: 1, Name: "n1", Leader: 2, Role: "follower", Voters: []uint64{1, 2}}
		c.members = []Member{{ID: 1, Name: "n1", Role: RoleVoter, Started: true}, {ID: 2, Role: RoleLeader, Replication: &Replication{Match: 3, LastContact: Duration(time.Second)}}}
	})
	f.admin.set(func(a *fakeAdmin) {
		a.plan = Plan{VotersBefore: []uint64{1, 2}, VotersAfter: []uint64{1}, QuorumBefore: 2, QuorumAfter: 1, Refusal: fmt.Errorf("plan: %w", ErrWouldLoseQuorum)}
		a.leader = Leader{ID: 2, Term: 7, ClientURL: "http://b:2"}
		a.info, a.file = SnapshotInfo{Index: 9, Term: 7, Revision: 8, Size: 10}, []byte("0123456789")
		a.verified = &Verification{Index: 9, At: time.Now(), Hashes: map[uint64]uint64{1: 0xabc}, Missing: []uint64{2}}
		a.disk = Disk{Free: 1 << 30, Reserve: 1 << 20, Short: []uint64{2}}
	})
	row.target = strings.ReplaceAll(row.target, "{lease}", lease)
	row.body = strings.ReplaceAll(row.body, "{lease}", lease)
	if row.set != nil {
		row.set(f)
	}
}

// failing makes the log and the cluster answer with an error.
func failing(err error) func(f *fixture) {
	return func(f *fixture) {
		f.log.set(func(l *directLog) { l.err, l.readErr = err, err })
		f.cluster.set(func(c *fakeCluster) { c.err, c.ready = err, err })
		f.admin.set(func(a *fakeAdmin) { a.err, a.leader = err, Leader{} })
	}
}

// diverged makes this member, or a comparison, find that states differ.
func diverged(f *fixture) {
	f.admin.set(func(a *fakeAdmin) {
		a.serving = fmt.Errorf("%w: at index 9", ErrDiverged)
		a.verified = &Verification{Index: 9, At: time.Now(), Hashes: map[uint64]uint64{1: 1, 2: 2}, Diverged: []uint64{1}}
	})
}

// plain is a request of each operation that nothing is wrong with.
var plain = map[string]contractRow{
	"getKey":       {status: 200, method: "GET", target: "/v1/kv/a"},
	"putKey":       {status: 201, method: "PUT", target: "/v1/kv/new", body: "v"},
	"deleteKey":    {status: 204, method: "DELETE", target: "/v1/kv/a"},
	"listKeys":     {status: 200, method: "GET", target: "/v1/kv"},
	"deleteKeys":   {status: 200, method: "DELETE", target: "/v1/kv?prefix=dir/"},
	"txn":          {status: 200, method: "POST", target: "/v1/txn", body: `{"then":[{"put":{"key":"new","value":"v"}}]}`},
	"watch":        {status: 200, method: "GET", target: "/v1/watch?since=2", lines: 2},
	"listLeases":   {status: 200, method: "GET", target: "/v1/leases"},
	"grantLease":   {status: 201, method: "POST", target: "/v1/leases", body: `{"ttl":"30s"}`},
	"getLease":     {status: 200, method: "GET", target: "/v1/leases/{lease}"},
	"revokeLease":  {status: 204, method: "DELETE", target: "/v1/leases/{lease}"},
	"keepAlive":    {status: 200, method: "POST", target: "/v1/leases/{lease}/keepalive"},
	"getRequest":   {status: 200, method: "GET", target: "/v1/requests/once"},
	"compact":      {status: 200, method: "POST", target: "/v1/compact", body: `{"revision":3}`},
	"listMembers":  {status: 200, method: "GET", target: "/v1/members"},
	"addMember":    {status: 201, method: "POST", target: "/v1/members", body: `{"peer_url":"http://127.0.0.1:2"}`},
	"removeMember": {status: 204, method: "DELETE", target: "/v1/members/2"},

	"updateMember":       {status: 200, method: "PATCH", target: "/v1/members/2", body: `{"peer_url":"http://127.0.0.1:2"}`},
	"promoteMember":      {status: 200, method: "POST", target: "/v1/members/2/promote"},
	"replaceMember":      {status: 200, method: "POST", target: "/v1/members/replace", body: `{"remove":2,"add":{"peer_url":"http://127.0.0.1:2"}}`},
	"getLeader":          {status: 200, method: "GET", target: "/v1/leader"},
	"transferLeadership": {status: 200, method: "POST", target: "/v1/leader", body: `{"to":2}`},
	"takeSnapshot":       {status: 201, method: "POST", target: "/v1/snapshots"},
	"getSnapshot":        {status: 200, method: "GET", target: "/v1/snapshots/latest"},
	"verify":             {status: 200, method: "POST", target: "/v1/verify"},
	"lastVerification":   {status: 200, method: "GET", target: "/v1/verify"},

	"status":  {status: 200, method: "GET", target: "/v1/status"},
	"openapi": {status: 200, method: "GET", target: "/v1/openapi.json"},
	"livez":   {status: 200, method: "GET", target: "/livez"},
	"readyz":  {status: 200, method: "GET", target: "/readyz"},
	"metrics": {status: 200, method: "GET", target: "/metrics"},
	"version": {status: 200, method: "GET", target: "/version"},
}

// faults make a plain request get a status that has nothing to do with what it
// asks for.
var faults = map[int]func(row *contractRow){
	400: func(row *contractRow) { row.query("nonsense=1") },
	403: func(row *contractRow) { row.headers = []string{"Sec-Fetch-Site: cross-site"} },
	408: func(row *contractRow) { row.length, row.body, row.server.BodyTimeout = 1, "", 20*time.Millisecond },
	413: func(row *contractRow) { row.length, row.body = 1<<30, "" },
	421: func(row *contractRow) { row.headers = []string{"Host: evil.example"} },
	422: func(row *contractRow) {
		row.headers = []string{"Idempotency-Key: x"}
		row.set = func(f *fixture) { f.do("PUT", "/v1/kv/other", "", "Idempotency-Key: x") }
	},
	429: func(row *contractRow) { row.set = failing(kvstore.ErrOverloaded) },
	500: func(row *contractRow) { row.set = failing(errors.New("a fault of ours")) },
	503: func(row *contractRow) { row.set = failing(kvstore.ErrNoLeader) },
	504: func(row *contractRow) { row.set = failing(kvstore.ErrOutcomeUnknown) },
	507: func(row *contractRow) { row.set = failing(kvstore.ErrNoSpace) },
}

func (row *contractRow) query(parameter string) {
	sep := "?"
	if strings.Contains(row.target, "?") {
		sep = "&"
	}
	row.target += sep + parameter
}

// contractRows are all requests: each operation plainly, with each fault that it
// documents, and what else there is to say.
func contractRows(c *contract) []contractRow {
	rows := slices.Clone(special)
	for _, item := range c.doc.Paths.Map() {
		for _, op := range item.Operations() {
			row, ok := plain[op.OperationID]
			if !ok {
				panic("no plain request of " + op.OperationID)
			}
			rows = append(rows, row)
			for status, spoil := range faults {
				if op.Responses.Status(status) == nil {
					continue
				}
				row := row
				row.status, row.lines = status, 0
				if op.OperationID == "watch" || op.OperationID == "removeMember" {
					row.target, _, _ = strings.Cut(row.target, "?") // without since nothing has to be asked
				}
				spoil(&row)
				rows = append(rows, row)
			}
		}
	}
	return rows
}

const (
	wantLines = "Accept: application/x-ndjson"
	wantItem  = "Accept: application/json"
	longKey   = 4097
)

// special are the requests with an answer of their own.
var special = []contractRow{
	{status: 200, method: "GET", target: "/v1/kv/bin%FF", headers: []string{wantItem}},
	{status: 200, method: "GET", target: "/v1/kv/held", headers: []string{wantItem}},
	{status: 200, method: "GET", target: "/v1/kv/short?consistency=stale&max_stale=1s&timeout=1s", headers: []string{wantItem}},
	{status: 200, method: "GET", target: "/v1/kv/a?revision=2&consistency=linearizable", headers: []string{`If-Match: "2"`}},
	{status: 200, method: "GET", target: "/v1/kv/dir/x?min_revision=3&wait=1s", headers: []string{`If-None-Match: "1", "2"`}},
	{status: 304, method: "GET", target: "/v1/kv/a?wait=1ms", headers: []string{`If-None-Match: "2"`}},
	{status: 304, method: "GET", target: "/v1/kv/a?consistency=stale", headers: []string{"If-None-Match: *"}},
	{status: 404, method: "GET", target: "/v1/kv/none?consistency=stale&wait=1ms"},
	{status: 410, method: "GET", target: "/v1/kv/a?revision=1"},
	{status: 400, method: "GET", target: "/v1/kv/a?revision=1000"},
	{status: 412, method: "GET", target: "/v1/kv/a", headers: []string{`If-Match: "1"`}},
	{status: 414, method: "GET", target: "/v1/kv/" + strings.Repeat("k", longKey)},
	{status: 503, method: "GET", target: "/v1/kv/a?consistency=stale&max_stale=1s", set: func(f *fixture) { f.cluster.set(func(c *fakeCluster) { c.age = time.Minute }) }},
	{status: 503, method: "PUT", target: "/v1/kv/a", body: "v", set: func(f *fixture) { f.h.Drain() }},

	{status: 200, method: "PUT", target: "/v1/kv/a?prev=true&timeout=2s", body: "v", headers: []string{`If-Match: "2"`, "Content-Type: text/plain"}},
	{status: 200, method: "PUT", target: "/v1/kv/new?prev=true&ttl=30s", body: "v", headers: []string{"If-None-Match: *"}},
	{status: 204, method: "PUT", target: "/v1/kv/a?lease={lease}", body: "v", headers: []string{"Idempotency-Key: \"k\""}},
	{status: 201, method: "PUT", target: "/v1/kv/once", body: "7", headers: []string{"Idempotency-Key: once"}},
	{status: 404, method: "PUT", target: "/v1/kv/a?lease=00000000000000ff", body: "v"},
	{status: 412, method: "PUT", target: "/v1/kv/a", body: "v", headers: []string{`If-Match: "1"`}},
	{status: 412, method: "PUT", target: "/v1/kv/none", body: "v", headers: []string{`If-Match: *`}},
	{status: 414, method: "PUT", target: "/v1/kv/" + strings.Repeat("k", longKey), body: "v"},

	{status: 200, method: "DELETE", target: "/v1/kv/a?prev=true&timeout=2s", headers: []string{`If-Match: "2"`}},
	{status: 200, method: "DELETE", target: "/v1/kv/none?prev=true", headers: []string{"Idempotency-Key: k"}},
	{status: 412, method: "DELETE", target: "/v1/kv/a", headers: []string{`If-Match: "1"`}},
	{status: 414, method: "DELETE", target: "/v1/kv/" + strings.Repeat("k", longKey)},

	{status: 200, method: "GET", target: "/v1/kv?limit=2&separator=/&reverse=true&keys=true&consistency=stale"},
	{status: 200, method: "GET", target: "/v1/kv?prefix=dir&separator=/&timeout=1s"},
	{status: 200, method: "GET", target: "/v1/kv?start=a&end=b&count=true&revision=3"},
	{status: 200, method: "GET", target: "/v1/kv?start_base64=YQ&end_base64=_w&min_revision=2&separator=/", headers: []string{wantLines}},
	{status: 200, method: "GET", target: "/v1/kv?prefix_base64=ZGly/w", headers: []string{wantLines}},
	{status: 400, method: "GET", target: "/v1/kv?end=a&start=b"},
	{status: 410, method: "GET", target: "/v1/kv?revision=1&consistency=stale"},

	{status: 200, method: "DELETE", target: "/v1/kv?prefix=&dry_run=true&timeout=1s"},
	{status: 200, method: "DELETE", target: "/v1/kv?prefix=&confirm=all", headers: []string{"Idempotency-Key: k"}},
	{status: 200, method: "DELETE", target: "/v1/kv?prefix_base64=ZGly/w"},

	{status: 200, method: "POST", target: "/v1/txn?timeout=1s", headers: []string{"Idempotency-Key: k"}, body: `{
		"if":[{"key":"a","mod_revision":{"eq":2}},{"key":"a","exists":true},{"key":"a","value":{"gt":"0"}},{"key_base64":"Ymlu/w==","value_base64":{"eq":"/w=="}},
			{"key":"held","lease":{"eq":"{lease}"}},{"key":"a","version":{"le":2}},{"key":"a","create_revision":{"ne":2}}],
		"then":[{"put":{"key":"a","value":"1","ttl":"30s","content_type":"text/plain","prev":true}},{"put":{"key_base64":"/w==","value_base64":"/w==","lease":"{lease}","prev":true}},
			{"get":{"key":"a"}},{"get":{"key":"none"}},{"delete":{"key":"short","prev":true}},{"delete":{"prefix":"dir/"}},
			{"range":{"start":"a","end":"z","limit":1,"reverse":true,"keys":true}},{"range":{"prefix":"","count":true}}],
		"else":[]}`},
	{status: 200, method: "POST", target: "/v1/txn", body: `{"if":[{"key":"a","exists":false}],"then":[],"else":[{"range":{"prefix_base64":"Yg=="}},{"delete":{"start":"","confirm":"all"}}]}`},
	{status: 400, method: "POST", target: "/v1/txn", body: `{"then":[{"put":{"key":"a","value":""}},{"delete":{"key":"a"}}]}`},
	{status: 404, method: "POST", target: "/v1/txn", body: `{"then":[{"put":{"key":"a","value":"","lease":"00000000000000ff"}}]}`},
	{status: 414, method: "POST", target: "/v1/txn", body: `{"then":[{"get":{"key":"` + strings.Repeat("k", longKey) + `"}}]}`},

	{status: 200, method: "GET", target: "/v1/watch?since=2&prev=true&prefix=dir&prefix_base64=Yg&key=gone&key_base64=YQ&timeout=1s", lines: 6},
	{status: 200, method: "GET", target: "/v1/watch?prefix=b&prefix=d&events=put,delete&consistency=stale", headers: []string{"Accept: text/event-stream", "Last-Event-ID: 2"}, lines: 12},
	{status: 200, method: "GET", target: "/v1/watch?since=2&events=expire", lines: 2, set: func(f *fixture) {
		f.log.set(func(l *directLog) { l.clock = 2 * time.Hour })
		if _, err := f.h.cfg.Store.(*kvstore.DB).Expire(context.Background()); err != nil {
			f.t.Fatal(err)
		}
	}},
	{status: 410, method: "GET", target: "/v1/watch?since=1"},
	{status: 400, method: "GET", target: "/v1/watch?since=1000"},
	{status: 429, method: "GET", target: "/v1/watch", set: func(f *fixture) {
		addr := f.serve(ServerConfig{})
		f.watch(addr, "", f.machine.Revision())
	}},
	{status: 503, method: "GET", target: "/v1/watch", set: func(f *fixture) { f.h.Drain() }},

	{status: 200, method: "GET", target: "/v1/leases?consistency=stale&max_stale=1s"},
	{status: 200, method: "GET", target: "/v1/leases/{lease}?min_revision=2"},
	{status: 400, method: "POST", target: "/v1/leases", body: `{"ttl":"1ms"}`},
	{status: 404, method: "GET", target: "/v1/leases/00000000000000ff"},
	{status: 404, method: "DELETE", target: "/v1/leases/00000000000000ff"},
	{status: 404, method: "POST", target: "/v1/leases/00000000000000ff/keepalive"},
	{status: 200, method: "POST", target: "/v1/leases/{lease}/keepalive?timeout=1s", headers: []string{"Idempotency-Key: k"}},
	{status: 404, method: "GET", target: "/v1/requests/none"},
	{status: 200, method: "GET", target: "/v1/requests/" + url.PathEscape(`"once"`) + "?consistency=stale"},
	{status: 400, method: "POST", target: "/v1/compact", body: `{"revision":1000}`},

	{status: 201, method: "POST", target: "/v1/members?timeout=1s", body: `{"id":7,"name":"n7","peer_url":"http://127.0.0.1:2","client_url":"http://127.0.0.1:3","role":"learner","auto_promote":true}`},
	{status: 409, method: "POST", target: "/v1/members", body: `{"peer_url":"http://127.0.0.1:2"}`, set: failing(ErrMemberExists)},
	{status: 204, method: "DELETE", target: "/v1/members/2?force=true"},
	{status: 404, method: "DELETE", target: "/v1/members/2", set: failing(ErrNoSuchMember)},
	{status: 409, method: "DELETE", target: "/v1/members/2", set: failing(ErrWouldLoseQuorum)},
	{status: 200, method: "POST", target: "/v1/members?dry_run=true", body: `{"peer_url":"http://127.0.0.1:2"}`},
	{status: 200, method: "DELETE", target: "/v1/members/2?dry_run=true&force=true&timeout=1s"},

	{status: 200, method: "PATCH", target: "/v1/members/2?timeout=1s", body: `{"name":"n2","peer_url":"http://127.0.0.1:2","client_url":"","auto_promote":false}`},
	{status: 200, method: "PATCH", target: "/v1/members/2?dry_run=true", body: `{"name":null,"client_url":"http://127.0.0.1:3"}`, set: func(f *fixture) { f.admin.set(func(a *fakeAdmin) { a.plan = Plan{} }) }},
	{status: 404, method: "PATCH", target: "/v1/members/2", body: `{"name":"x"}`, set: failing(ErrNoSuchMember)},
	{status: 409, method: "PATCH", target: "/v1/members/2", body: `{"name":"x"}`, set: failing(ErrMemberExists)},
	{status: 200, method: "POST", target: "/v1/members/2/promote?dry_run=true&timeout=1s"},
	{status: 404, method: "POST", target: "/v1/members/2/promote", set: failing(ErrNoSuchMember)},
	{status: 409, method: "POST", target: "/v1/members/2/promote", set: failing(ErrLearnerNotReady)},
	{status: 200, method: "POST", target: "/v1/members/replace?dry_run=true&timeout=1s", body: `{"remove":2,"add":{"id":7,"name":"n7","peer_url":"http://127.0.0.1:2","client_url":"http://127.0.0.1:3"}}`},
	{status: 202, method: "POST", target: "/v1/members/replace", body: `{"remove":2,"add":{"id":null,"peer_url":"http://127.0.0.1:2"}}`, set: func(f *fixture) { f.admin.set(func(a *fakeAdmin) { a.waiting = true }) }},
	{status: 404, method: "POST", target: "/v1/members/replace", body: `{"remove":2,"add":{"peer_url":"http://127.0.0.1:2"}}`, set: failing(ErrNoSuchMember)},
	{status: 409, method: "POST", target: "/v1/members/replace", body: `{"remove":2,"add":{"peer_url":"http://127.0.0.1:2"}}`, set: failing(ErrConfigChangePending)},
	{status: 200, method: "POST", target: "/v1/leader?timeout=1s"},
	{status: 200, method: "POST", target: "/v1/leader", body: `{"to":null}`},
	{status: 400, method: "POST", target: "/v1/leader", body: `{"to":3}`, set: failing(ErrNotVoter)},

	{status: 201, method: "POST", target: "/v1/snapshots?timeout=1s", set: func(f *fixture) { f.admin.set(func(a *fakeAdmin) { a.info.Revision = 0 }) }},
	{status: 503, method: "POST", target: "/v1/snapshots", set: diverged},
	{status: 206, method: "GET", target: "/v1/snapshots/latest", headers: []string{"Range: bytes=2-", `If-Range: "9-7"`}},
	{status: 206, method: "GET", target: "/v1/snapshots/latest", headers: []string{"Range: bytes=0-1,4-5"}},
	{status: 304, method: "GET", target: "/v1/snapshots/latest", headers: []string{`If-None-Match: "9-7"`}},
	{status: 404, method: "GET", target: "/v1/snapshots/latest", set: failing(ErrNoSnapshot)},
	{status: 412, method: "GET", target: "/v1/snapshots/latest", headers: []string{`If-Match: "8-7"`}},
	{status: 416, method: "GET", target: "/v1/snapshots/latest", headers: []string{"Range: bytes=10-"}},
	{status: 503, method: "GET", target: "/v1/snapshots/latest", set: diverged},
	{status: 200, method: "POST", target: "/v1/verify?timeout=1s"},
	{status: 409, method: "POST", target: "/v1/verify", set: diverged},
	{status: 409, method: "GET", target: "/v1/verify", set: diverged},
	{status: 404, method: "GET", target: "/v1/verify", set: func(f *fixture) { f.admin.set(func(a *fakeAdmin) { a.verified = nil }) }},

	{status: 503, method: "GET", target: "/v1/kv/a", set: diverged},
	{status: 503, method: "PUT", target: "/v1/kv/a", body: "v", set: diverged},
	{status: 503, method: "GET", target: "/v1/watch?since=2", set: diverged},
	{status: 503, method: "GET", target: "/readyz", set: diverged},
	{status: 200, method: "GET", target: "/v1/status", set: diverged},
	{status: 200, method: "GET", target: "/v1/status", set: func(f *fixture) {
		f.cluster.set(func(c *fakeCluster) {
			c.silent, c.state = true, Status{ID: 1, Leader: 1, Role: "leader", Voters: []uint64{1, 2}, Learners: []uint64{3}, Progress: []Progress{{ID: 2, State: "probe"}}}
		})
	}},

	{status: 200, method: "GET", target: "/livez?verbose=true"},
	{status: 200, method: "GET", target: "/readyz?verbose=true&exclude=raft"},
	{status: 503, method: "GET", target: "/readyz?verbose=true", set: failing(errors.New("no leader"))},
	{status: 200, method: "GET", target: "/metrics?name%5B%5D=kvd_raft_term"},
}
