package client

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What each call sends.
func TestRequests(t *testing.T) { overScripts(t, testRequests) }

func testRequests(t *testing.T, newScript newScriptFunc) {
	ctx := context.Background()
	for _, tt := range []struct {
		name   string
		call   func(c *Client) error
		method string
		target string // path and query, but for timeout
		header string // "Name: value" lines that must be there
		body   string
		timed  bool
		keyed  bool
	}{
		{"get", func(c *Client) error { _, err := c.Get(ctx, "a/b", nil); return err },
			"GET", "/v1/kv/a/b", "", "", true, false},
		{"get, all", func(c *Client) error {
			_, err := c.Get(ctx, "a", &GetOptions{Full: true, Unless: 7, ReadOptions: ReadOptions{Consistency: Stale, MaxStale: 2 * time.Second}})
			return err
		}, "GET", "/v1/kv/a?consistency=stale&max_stale=2s", "Accept: application/json\nIf-None-Match: \"7\"", "", true, false},
		{"get, wait", func(c *Client) error {
			_, err := c.Get(ctx, "a", &GetOptions{Wait: 30 * time.Second, ReadOptions: ReadOptions{MinRevision: 9}})
			return err
		}, "GET", "/v1/kv/a?min_revision=9&wait=30s", "", "", true, false},
		{"get at a revision", func(c *Client) error {
			_, err := c.Get(ctx, "a", &GetOptions{ReadOptions: ReadOptions{Consistency: Linearizable, Revision: 3}})
			return err
		}, "GET", "/v1/kv/a?consistency=linearizable&revision=3", "", "", true, false},

		{"put", func(c *Client) error { _, err := c.Put(ctx, "a", []byte("v\x00"), nil); return err },
			"PUT", "/v1/kv/a", "", "v\x00", true, true},
		{"put, all", func(c *Client) error {
			_, err := c.Put(ctx, "a", nil, &PutOptions{ContentType: "text/plain", If: IfRevision(3), TTL: 90 * time.Second, Prev: true})
			return err
		}, "PUT", "/v1/kv/a?prev=true&ttl=1m30s", "Content-Type: text/plain\nIf-Match: \"3\"", "", true, true},
		{"put with a lease", func(c *Client) error {
			_, err := c.Put(ctx, "a", nil, &PutOptions{If: IfAbsent(), Lease: 0xabc})
			return err
		}, "PUT", "/v1/kv/a?lease=0000000000000abc", "If-None-Match: *", "", true, true},
		{"put over nothing", func(c *Client) error {
			_, err := c.Put(ctx, "a", nil, &PutOptions{If: IfRevision(0)})
			return err
		}, "PUT", "/v1/kv/a", "If-None-Match: *", "", true, true},
		{"delete", func(c *Client) error {
			_, err := c.Delete(ctx, "a", &DeleteOptions{If: IfPresent(), Prev: true})
			return err
		}, "DELETE", "/v1/kv/a?prev=true", "If-Match: *", "", true, true},

		{"list", func(c *Client) error { _, err := c.List(ctx, nil); return err }, "GET", "/v1/kv", "", "", true, false},
		{"list, all", func(c *Client) error {
			_, err := c.List(ctx, &ListOptions{Prefix: "a/\xff&", Separator: "/", Reverse: true, KeysOnly: true, Limit: 5, Cursor: "xyz", ReadOptions: ReadOptions{MinRevision: 3}})
			return err
		}, "GET", "/v1/kv?cursor=xyz&keys=true&limit=5&min_revision=3&prefix=a%2F%FF%26&reverse=true&separator=%2F", "", "", true, false},
		{"count", func(c *Client) error { _, err := c.Count(ctx, &ListOptions{Start: "a", End: "b c"}); return err },
			"GET", "/v1/kv?count=true&end=b+c&start=a", "", "", true, false},
		{"lines", func(c *Client) error {
			for range c.All(ctx, &ListOptions{Prefix: "a", Limit: 7}) {
			}
			return nil
		}, "GET", "/v1/kv?prefix=a", "Accept: application/x-ndjson", "", true, false},
		{"delete a prefix", func(c *Client) error { _, err := c.DeletePrefix(ctx, "a/", nil); return err },
			"DELETE", "/v1/kv?prefix=a%2F", "", "", true, true},
		{"delete all", func(c *Client) error {
			_, err := c.DeletePrefix(ctx, "", &DeletePrefixOptions{All: true})
			return err
		}, "DELETE", "/v1/kv?confirm=all&prefix=", "", "", true, true},
		{"count what would be deleted", func(c *Client) error {
			_, err := c.DeletePrefix(ctx, "a", &DeletePrefixOptions{DryRun: true})
			return err
		}, "DELETE", "/v1/kv?dry_run=true&prefix=a", "", "", true, false},
		{"compact", func(c *Client) error { return c.Compact(ctx, 42) },
			"POST", "/v1/compact", "Content-Type: application/json", `{"revision":42}`, true, false},

		{"txn", func(c *Client) error {
			_, err := c.Txn(ctx, Txn{If: []Compare{Exists("a", true)}})
			return err
		}, "POST", "/v1/txn", "Content-Type: application/json", `{"if":[{"key":"a","exists":true}]}`, true, true},

		{"grant", func(c *Client) error { _, err := c.GrantLease(ctx, 30*time.Second, nil); return err },
			"POST", "/v1/leases", "Content-Type: application/json", `{"ttl":"30s"}`, true, true},
		{"keep alive", func(c *Client) error { _, err := c.KeepAliveOnce(ctx, 0x7f); return err },
			"POST", "/v1/leases/000000000000007f/keepalive", "", "", true, false},
		{"revoke", func(c *Client) error {
			_, err := c.RevokeLease(ctx, 0x7f, &LeaseOptions{IdempotencyKey: "mine"})
			return err
		}, "DELETE", "/v1/leases/000000000000007f", "Idempotency-Key: mine", "", true, true},
		{"lease", func(c *Client) error { _, err := c.GetLease(ctx, 0x7f); return err },
			"GET", "/v1/leases/000000000000007f", "", "", true, false},
		{"leases", func(c *Client) error { _, err := c.Leases(ctx); return err }, "GET", "/v1/leases", "", "", true, false},
		{"request", func(c *Client) error { _, err := c.Request(ctx, "a/b%?"); return err },
			"GET", "/v1/requests/a%2Fb%25%3F", "", "", true, false},

		{"members", func(c *Client) error { _, err := c.Members(ctx); return err }, "GET", "/v1/members", "", "", true, false},
		{"add a member", func(c *Client) error {
			_, err := c.AddMember(ctx, NewMember{PeerURL: "http://d"})
			return err
		}, "POST", "/v1/members", "Content-Type: application/json", `{"peer_url":"http://d"}`, true, false},
		{"add a learner", func(c *Client) error {
			_, err := c.AddMember(ctx, NewMember{ID: 4, Name: "n4", PeerURL: "http://d", ClientURL: "http://e", StayLearner: true})
			return err
		}, "POST", "/v1/members", "", `{"id":4,"name":"n4","peer_url":"http://d","client_url":"http://e","auto_promote":false}`, true, false},
		{"remove a member", func(c *Client) error { return c.RemoveMember(ctx, 3, true) },
			"DELETE", "/v1/members/3?force=true", "", "", true, false},
		{"promote a member", func(c *Client) error { _, err := c.PromoteMember(ctx, 3); return err },
			"POST", "/v1/members/3/promote", "", "", true, false},
		{"update a member", func(c *Client) error {
			_, err := c.UpdateMember(ctx, 3, MemberUpdate{PeerURL: new("http://d")})
			return err
		}, "PATCH", "/v1/members/3", "Content-Type: application/json", `{"peer_url":"http://d"}`, true, false},
		{"update all of a member", func(c *Client) error {
			_, err := c.UpdateMember(ctx, 3, MemberUpdate{new(""), new("http://d"), new("http://e"), new(false)})
			return err
		}, "PATCH", "/v1/members/3", "", `{"name":"","peer_url":"http://d","client_url":"http://e","auto_promote":false}`, true, false},
		{"replace a member", func(c *Client) error {
			_, _, err := c.ReplaceMember(ctx, 3, NewMember{ID: 4, Name: "n4", PeerURL: "http://d", ClientURL: "http://e", StayLearner: true})
			return err
		}, "POST", "/v1/members/replace", "Content-Type: application/json", `{"remove":3,"add":{"id":4,"name":"n4","peer_url":"http://d","client_url":"http://e"}}`, true, false},
		{"plan to add", func(c *Client) error { _, err := c.PlanAdd(ctx, NewMember{PeerURL: "http://d"}); return err },
			"POST", "/v1/members?dry_run=true", "", `{"peer_url":"http://d"}`, true, false},
		{"plan to remove", func(c *Client) error { _, err := c.PlanRemove(ctx, 3, true); return err },
			"DELETE", "/v1/members/3?dry_run=true&force=true", "", "", true, false},
		{"plan to promote", func(c *Client) error { _, err := c.PlanPromote(ctx, 3); return err },
			"POST", "/v1/members/3/promote?dry_run=true", "", "", true, false},
		{"plan to update", func(c *Client) error {
			_, err := c.PlanUpdate(ctx, 3, MemberUpdate{Name: new("x")})
			return err
		}, "PATCH", "/v1/members/3?dry_run=true", "", `{"name":"x"}`, true, false},
		{"plan to replace", func(c *Client) error {
			_, err := c.PlanReplace(ctx, 3, NewMember{PeerURL: "http://d"})
			return err
		}, "POST", "/v1/members/replace?dry_run=true", "", `{"remove":3,"add":{"peer_url":"http://d"}}`, true, false},
		{"leader", func(c *Client) error { _, err := c.Leader(ctx); return err }, "GET", "/v1/leader", "", "", false, false},
		{"transfer leadership", func(c *Client) error { _, err := c.TransferLeadership(ctx, 2); return err },
			"POST", "/v1/leader", "Content-Type: application/json", `{"to":2}`, true, false},
		{"transfer leadership to anyone", func(c *Client) error { _, err := c.TransferLeadership(ctx, 0); return err },
			"POST", "/v1/leader", "", `{}`, true, false},
		{"snapshot", func(c *Client) error { _, err := c.TakeSnapshot(ctx, "http://a"); return err },
			"POST", "/v1/snapshots?timeout=29s", "", "", false, false},
		{"latest snapshot", func(c *Client) error { _, err := c.LatestSnapshot(ctx, ""); return err },
			"GET", "/v1/snapshots/latest", "Accept: application/octet-stream", "", false, false},
		{"verify", func(c *Client) error { _, err := c.Verify(ctx); return err }, "POST", "/v1/verify?timeout=29s", "", "", false, false},
		{"last verification", func(c *Client) error { _, err := c.LastVerification(ctx, ""); return err }, "GET", "/v1/verify", "", "", false, false},
		{"status", func(c *Client) error { _, err := c.Status(ctx, ""); return err }, "GET", "/v1/status", "", "", false, false},
		{"live", func(c *Client) error { return c.Live(ctx, "http://a") }, "GET", "/livez", "", "", false, false},
		{"ready", func(c *Client) error { return c.Ready(ctx, "http://a") }, "GET", "/readyz", "", "", false, false},
		{"watch", func(c *Client) error {
			_, err := c.Watch(ctx, &WatchOptions{Prefixes: []string{"p/", ""}, Keys: []string{"k&"}, Since: 4, Types: []EventType{EventPut, EventExpire}, Prev: true})
			return err
		}, "GET", "/v1/watch?events=put%2Cexpire&key=k%26&prefix=p%2F&prefix=&prev=true&since=4", "Accept: text/event-stream", "", true, false},
		{"watch all", func(c *Client) error { _, err := c.Watch(ctx, &WatchOptions{All: true}); return err },
			"GET", "/v1/watch?since=0", "", "", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // or the timeout depends on who else runs
				// The answer is an error, so that it does for all.
				c, s := newScript(t, Config{}, problemReply(403, "forbidden", NotApplied))
				_ = tt.call(c)
				if len(s.sent) != 1 {
					t.Fatalf("sent %d requests", len(s.sent))
				}
				r := s.sent[0]
				query := strings.TrimSuffix(strings.TrimSuffix(r.query, "timeout=5.25s"), "&")
				target := r.path
				if query != "" {
					target += "?" + query
				}
				if r.method != tt.method || target != tt.target || (query != r.query) != tt.timed {
					t.Errorf("got  %s %s (of %s)\nwant %s %s", r.method, target, r.query, tt.method, tt.target)
				}
				if r.body != tt.body {
					t.Errorf("body: got %q, want %q", r.body, tt.body)
				}
				if (r.key != "") != tt.keyed {
					t.Errorf("idempotency key %q", r.key)
				}
				for line := range strings.Lines(tt.header) {
					name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
					if got := r.header.Get(name); got != value {
						t.Errorf("%s: got %q, want %q", name, got, value)
					}
				}
				if ua := r.header.Get("User-Agent"); ua != "kvd-go-client" {
					t.Errorf("User-Agent: %q", ua)
				}
			})
		})
	}
}

// replaced makes one value of three.
func replaced(m *Member, done bool, err error) (any, error) { return []any{m, done}, err }

// What each answer is read as.
func TestAnswers(t *testing.T) { overScripts(t, testAnswers) }

func testAnswers(t *testing.T, newScript newScriptFunc) {
	ctx := context.Background()
	head := func(kv ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Set(kv[i], kv[i+1])
		}
		return h
	}
	item := `{"key":"a","value":"x","mod_revision":40,"create_revision":7,"version":3,"content_type":"text/plain"}`
	want := Item{Key: "a", Value: []byte("x"), ModRevision: 40, CreateRevision: 7, Version: 3, ContentType: "text/plain"}
	odd := `{"key_base64":"/w==","value_base64":"/v8=","mod_revision":41,"create_revision":41,"version":1,"content_type":"application/octet-stream","lease":"00000000000000ff"}`
	wantOdd := Item{Key: "\xff", Value: []byte{0xfe, 0xff}, ModRevision: 41, CreateRevision: 41, Version: 1, ContentType: "application/octet-stream", Lease: 255}

	for _, tt := range []struct {
		name  string
		reply reply
		call  func(c *Client) (any, error)
		want  any
	}{
		{"value", reply{status: 200, body: "x\x00", header: head("ETag", `"40"`, "Kvd-Revision", "42", "Content-Type", "text/plain")},
			func(c *Client) (any, error) { return c.Get(ctx, "a", nil) },
			&GetResult{Item: Item{Key: "a", Value: []byte("x\x00"), ContentType: "text/plain", ModRevision: 40}, ReadInfo: ReadInfo{Revision: 42}}},
		{"item", reply{status: 200, body: item, header: head("Kvd-Revision", "42", "Kvd-Staleness", "12ms")},
			func(c *Client) (any, error) { return c.Get(ctx, "a", &GetOptions{Full: true}) },
			&GetResult{Item: want, ReadInfo: ReadInfo{Revision: 42, Staleness: 12 * time.Millisecond}}},
		{"not modified", reply{status: 304, header: head("Kvd-Revision", "42", "Kvd-Staleness", "unknown")},
			func(c *Client) (any, error) { return c.Get(ctx, "a", &GetOptions{Unless: 40}) },
			&GetResult{NotModified: true, ReadInfo: ReadInfo{Revision: 42, Staleness: -1}}},
		{"created", reply{status: 201, header: head("ETag", `"40"`, "Kvd-Revision", "40")},
			func(c *Client) (any, error) { return c.Put(ctx, "a", nil, nil) },
			&PutResult{Revision: 40, ModRevision: 40, Created: true}},
		{"replaced, again", reply{status: 204, header: head("ETag", `"40"`, "Kvd-Revision", "40", "Idempotent-Replay", "true")},
			func(c *Client) (any, error) { return c.Put(ctx, "a", nil, nil) },
			&PutResult{Revision: 40, ModRevision: 40, Replayed: true}},
		{"replaced, with what was there", reply{status: 200, body: `{"revision":50,"created":false,"prev":` + item + `}`, header: head("ETag", `"50"`, "Kvd-Revision", "50")},
			func(c *Client) (any, error) { return c.Put(ctx, "a", nil, &PutOptions{Prev: true}) },
			&PutResult{Revision: 50, ModRevision: 50, Prev: &want}},
		{"created, with nothing there", reply{status: 200, body: `{"revision":50,"created":true,"prev":null}`, header: head("ETag", `"50"`, "Kvd-Revision", "50")},
			func(c *Client) (any, error) { return c.Put(ctx, "a", nil, &PutOptions{Prev: true}) },
			&PutResult{Revision: 50, ModRevision: 50, Created: true}},
		{"deleted", reply{status: 204, header: head("Kvd-Deleted", "1", "Kvd-Revision", "40")},
			func(c *Client) (any, error) { return c.Delete(ctx, "a", nil) },
			&DeleteResult{Revision: 40, Deleted: true}},
		{"nothing deleted", reply{status: 200, body: `{"revision":40,"deleted":0,"prev":null}`, header: head("Kvd-Deleted", "0", "Kvd-Revision", "40")},
			func(c *Client) (any, error) { return c.Delete(ctx, "a", &DeleteOptions{Prev: true}) },
			&DeleteResult{Revision: 40}},
		{"page", reply{status: 200, body: `{"revision":42,"count":4,"items":[` + item + `,` + odd + `],"prefixes":["app/"],"prefixes_base64":["/wA="],"next":"xyz"}`, header: head("Kvd-Revision", "42")},
			func(c *Client) (any, error) { return c.List(ctx, nil) },
			&Page{ReadInfo: ReadInfo{Revision: 42}, Items: []Item{want, wantOdd}, Prefixes: []string{"app/", "\xff\x00"}, Next: "xyz"}},
		{"count", reply{status: 200, body: `{"revision":42,"count":12}`, header: head("Kvd-Revision", "42")},
			func(c *Client) (any, error) { return c.Count(ctx, nil) },
			&CountResult{ReadInfo{Revision: 42}, 12}},
		{"deleted prefix", reply{status: 200, body: `{"deleted":12,"revision":43}`},
			func(c *Client) (any, error) { return c.DeletePrefix(ctx, "a", nil) },
			&DeletePrefixResult{Deleted: 12, Revision: 43}},
		{"txn", reply{status: 200, body: `{"succeeded":true,"revision":44,"results":[{"put":{"created":true,"mod_revision":44,"prev":null}},{"get":` + item + `},{"get":null},{"delete":{"deleted":1,"prev":` + odd + `}},{"range":{"count":3,"items":[` + item + `],"more":true}}]}`},
			func(c *Client) (any, error) {
				return c.Txn(ctx, Txn{Then: []Op{PutOp("a", nil, nil), GetOp("a"), GetOp("b"), DeleteOp("c", true), RangeOp(nil)}})
			},
			&TxnResult{Succeeded: true, Revision: 44, Results: []OpResult{
				{Created: true, ModRevision: 44}, {Item: &want}, {}, {Deleted: 1, Prev: &wantOdd}, {Count: 3, Items: []Item{want}, More: true},
			}}},
		{"lease granted", reply{status: 201, body: `{"id":"7f3a000000000001","ttl":"30s"}`},
			func(c *Client) (any, error) { return c.GrantLease(ctx, 30*time.Second, nil) },
			&LeaseInfo{ID: 0x7f3a000000000001, TTL: 30 * time.Second}},
		{"lease kept", reply{status: 200, body: `{"remaining":"30s"}`},
			func(c *Client) (any, error) { return c.KeepAliveOnce(ctx, 1) }, 30 * time.Second},
		{"lease revoked", reply{status: 204, header: head("Kvd-Deleted", "3")},
			func(c *Client) (any, error) { return c.RevokeLease(ctx, 1, nil) }, uint64(3)},
		{"lease", reply{status: 200, body: `{"id":"0000000000000001","ttl":"30s","remaining":"12.5s","keys":["a","c"],"keys_base64":["/w==","YmI="]}`},
			func(c *Client) (any, error) { return c.GetLease(ctx, 1) },
			&LeaseInfo{ID: 1, TTL: 30 * time.Second, Remaining: 12500 * time.Millisecond, Keys: []string{"a", "bb", "c", "\xff"}}},
		{"leases", reply{status: 200, body: `[{"id":"0000000000000001","ttl":"30s","remaining":"12.5s"}]`},
			func(c *Client) (any, error) { return c.Leases(ctx) },
			[]LeaseInfo{{ID: 1, TTL: 30 * time.Second, Remaining: 12500 * time.Millisecond}}},
		{"request", reply{status: 200, body: `{"state":"applied","revision":44,"status":201}`},
			func(c *Client) (any, error) { return c.Request(ctx, "k") }, &Request{"applied", 44, 201}},
		{"members", reply{status: 200, body: `[{"id":1,"name":"n1","peer_url":"p","client_url":"c","role":"leader","started":true,"match":9,"lag":1,"last_contact":"12ms","healthy":true},{"id":2,"name":"","peer_url":"q","client_url":"","role":"learner","auto_promote":true,"started":false}]`},
			func(c *Client) (any, error) { return c.Members(ctx) },
			[]Member{
				{ID: 1, Name: "n1", PeerURL: "p", ClientURL: "c", Role: RoleLeader, Started: true, Replication: &Replication{9, 1, 12 * time.Millisecond, true}},
				{ID: 2, PeerURL: "q", Role: RoleLearner, AutoPromote: true},
			}},
		{"promoted", reply{status: 200, body: `{"id":3,"name":"n3","peer_url":"p","client_url":"c","role":"voter","started":true}`},
			func(c *Client) (any, error) { return c.PromoteMember(ctx, 3) },
			&Member{ID: 3, Name: "n3", PeerURL: "p", ClientURL: "c", Role: RoleVoter, Started: true}},
		{"replaced", reply{status: 200, body: `{"id":4,"name":"","peer_url":"p","client_url":"","role":"voter","started":true}`},
			func(c *Client) (any, error) { return replaced(c.ReplaceMember(ctx, 3, NewMember{})) },
			[]any{&Member{ID: 4, PeerURL: "p", Role: RoleVoter, Started: true}, true}},
		{"not replaced yet", reply{status: 202, body: `{"id":4,"name":"","peer_url":"p","client_url":"","role":"learner","replaces":3,"started":false}`},
			func(c *Client) (any, error) { return replaced(c.ReplaceMember(ctx, 3, NewMember{})) },
			[]any{&Member{ID: 4, PeerURL: "p", Role: RoleLearner, Replaces: 3}, false}},
		{"plan", reply{status: 200, body: `{"voters_before":[1,2,3],"voters_after":[1,2],"quorum_before":2,"quorum_after":2,"tolerated_before":1,"tolerated_after":0,"refused":null}`},
			func(c *Client) (any, error) { return c.PlanRemove(ctx, 3, false) },
			&Plan{VotersBefore: []uint64{1, 2, 3}, VotersAfter: []uint64{1, 2}, QuorumBefore: 2, QuorumAfter: 2, ToleratedBefore: 1}},
		{"plan refused", reply{status: 200, body: `{"voters_before":[1],"voters_after":[1],"quorum_before":1,"quorum_after":1,"tolerated_before":0,"tolerated_after":0,"refused":{"code":"would_lose_quorum","detail":"so it is"}}`},
			func(c *Client) (any, error) { return c.PlanRemove(ctx, 1, false) },
			&Plan{VotersBefore: []uint64{1}, VotersAfter: []uint64{1}, QuorumBefore: 1, QuorumAfter: 1, Refused: &Refusal{"would_lose_quorum", "so it is"}}},
		{"leader", reply{status: 200, body: `{"id":2,"term":7,"client_url":"http://b"}`},
			func(c *Client) (any, error) { return c.Leader(ctx) }, &Leader{2, 7, "http://b"}},
		{"leader now", reply{status: 200, body: `{"id":2,"term":8,"client_url":"http://b"}`},
			func(c *Client) (any, error) { return c.TransferLeadership(ctx, 2) }, &Leader{2, 8, "http://b"}},
		{"snapshot", reply{status: 201, body: `{"index":40,"term":7,"revision":38,"size_bytes":12}`},
			func(c *Client) (any, error) { return c.TakeSnapshot(ctx, "") }, &SnapshotInfo{40, 7, 38, 12}},
		{"verified", reply{status: 200, body: `{"index":40,"checked":"1.5s","hashes":{"1":"000000000000000a","2":"000000000000000a"},"missing":[3],"diverged":[]}`},
			func(c *Client) (any, error) { return c.Verify(ctx) },
			&Verification{40, 1500 * time.Millisecond, map[uint64]string{1: "000000000000000a", 2: "000000000000000a"}, []uint64{3}, []uint64{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := newScript(t, Config{}, tt.reply)
			got, err := tt.call(c)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("\ngot  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// Yes in a form that cannot be read is an error, and none that another attempt
// could mend.
func TestBadAnswers(t *testing.T) { overScripts(t, testBadAnswers) }

func testBadAnswers(t *testing.T, newScript newScriptFunc) {
	for _, body := range []string{"", "{", "[]", `{"succeeded":true,"results":[]}`} {
		c, s := newScript(t, Config{}, reply{status: 200, body: body})
		_, err := c.Txn(t.Context(), Txn{Then: []Op{GetOp("a")}})
		if e := new(Error); !asError(err, &e) || e.Status != 200 || len(s.sent) != 1 {
			t.Errorf("%q: got %v after %d attempts", body, err, len(s.sent))
		}
	}
}

// Keys come out of the path as they went in, whoever reads it.
func TestEscapeKey(t *testing.T) {
	for key, want := range map[string]string{
		"a":            "a",
		"app/a":        "app/a",
		"a//b":         "a%2F%2Fb",
		"/a":           "%2Fa",
		"a/":           "a%2F",
		"..":           "%2E%2E",
		"../x":         "%2E%2E%2Fx",
		"a/./b":        "a%2F%2E%2Fb",
		"a.b/c..":      "a.b/c..",
		"%2F":          "%252F",
		"a?b#c":        "a%3Fb%23c",
		"a b+c":        "a%20b%2Bc",
		"\x00\xff":     "%00%FF",
		"ü":            "%C3%BC",
		"a;b=c&d":      "a%3Bb%3Dc%26d",
		"http://x/y:z": "http%3A%2F%2Fx%2Fy%3Az",
	} {
		if got := escapeKey(key); got != want {
			t.Errorf("%q: got %s, want %s", key, got, want)
		}
	}
}

func FuzzEscapeKey(f *testing.F) {
	for _, key := range []string{"a//b", "../x", "%2F", "\x00\xff", "a/./b/", "?#"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		escaped := escapeKey(key)
		u := url.URL{Scheme: "http", Host: "a", Path: kvPath + key, RawPath: kvPath + escaped}
		sent, err := url.ParseRequestURI(u.RequestURI())
		if err != nil {
			t.Fatalf("%q: %v", key, err)
		}
		if sent.Path != kvPath+key || sent.RawQuery != "" {
			t.Errorf("%q: arrives as %q", key, sent.Path)
		}
		for segment := range strings.SplitSeq(escaped, "/") {
			if key != "" && (segment == "" || segment == "." || segment == "..") {
				t.Errorf("%q: segment %q in %s", key, segment, escaped)
			}
		}
		if got, err := url.PathUnescape(escapeSegment(key)); err != nil || got != key || strings.Contains(escapeSegment(key), "/") {
			t.Errorf("%q: as a segment %q", key, escapeSegment(key))
		}
	})
}
