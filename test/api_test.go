package test

import (
	"strings"
	"testing"
)

// TestAPI goes through the tables of the API with the leader and with a follower
// of three members: keys, reads, listings, transactions, leases, idempotency and
// all that can be wrong with a request. Watches have tests of their own.
func TestAPI(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	leader := c.leader()
	for _, m := range []*member{leader, c.followers(leader)[0]} {
		role := "follower"
		if m == leader {
			role = "leader"
		}
		t.Run(role, func(t *testing.T) {
			for _, table := range []struct {
				name string
				rows []exchange
			}{
				{"writes", writeRows}, {"reads", readRows}, {"lists", listRows}, {"transactions", txnRows},
				{"leases", leaseRows}, {"idempotency", idempotencyRows}, {"cluster", clusterRows}, {"refusals", refusalRows()},
			} {
				t.Run(table.name, func(t *testing.T) {
					conv := newConversation(m)
					conv.vars["p"] += table.name + "/"
					conv.run(t, table.rows)
				})
			}
		})
	}
}

var writeRows = []exchange{
	{name: "create", method: "PUT", path: "/v1/kv/{p}k", body: "v1", status: 201, fields: []string{"ETag", "*", "Kvd-Revision", "*"}},
	{name: "replace", method: "PUT", path: "/v1/kv/{p}k", body: "v2", status: 204, fields: []string{"ETag", "*", "Kvd-Revision", "*"}},
	{name: "over this revision", method: "PUT", path: "/v1/kv/{p}k", body: "v3", header: []string{"If-Match", "{etag}"}, status: 204},
	{name: "over another revision", method: "PUT", path: "/v1/kv/{p}k", body: "no", header: []string{"If-Match", `"1"`},
		status: 412, code: "precondition_failed", fields: []string{"ETag", "*"}},
	{name: "over what is there", method: "PUT", path: "/v1/kv/{p}k", body: "v4", header: []string{"If-Match", "*"}, status: 204},
	{name: "over nothing", method: "PUT", path: "/v1/kv/{p}none", body: "no", header: []string{"If-Match", "*"}, status: 412, code: "precondition_failed", fields: []string{"ETag", ""}},
	{name: "only where nothing is", method: "PUT", path: "/v1/kv/{p}once", body: "v", header: []string{"If-None-Match", "*"}, status: 201},
	{name: "only where nothing is, again", method: "PUT", path: "/v1/kv/{p}once", body: "no", header: []string{"If-None-Match", "*"}, status: 412, code: "precondition_failed", fields: []string{"ETag", "*"}},
	{name: "with the one before", method: "PUT", path: "/v1/kv/{p}k?prev=true", body: "v5", status: 200, has: []string{`"created":false`, `"value":"v4"`, `"version":4`}},
	{name: "it is there", path: "/v1/kv/{p}k", status: 200, is: "v5"},
	{name: "delete over another revision", method: "DELETE", path: "/v1/kv/{p}k", header: []string{"If-Match", `"1"`}, status: 412, code: "precondition_failed"},
	{name: "delete with the one before", method: "DELETE", path: "/v1/kv/{p}k?prev=true", status: 200, has: []string{`"deleted":1`, `"value":"v5"`}},
	{name: "delete what is gone", method: "DELETE", path: "/v1/kv/{p}k", status: 204, fields: []string{"Kvd-Deleted", "0"}},
	{name: "delete", method: "DELETE", path: "/v1/kv/{p}once?timeout=3s", status: 204, fields: []string{"Kvd-Deleted", "1"}},
	{name: "put with a TTL", method: "PUT", path: "/v1/kv/{p}short?ttl=100s", body: "v", status: 201},
	{name: "its TTL is told", path: "/v1/kv/{p}short", header: []string{"Accept", "application/json"}, status: 200, has: []string{`"ttl":"1m40s"`}},
	{name: "a PUT without one clears it", method: "PUT", path: "/v1/kv/{p}short", body: "v", status: 204},
	{name: "it is cleared", path: "/v1/kv/{p}short?consistency=linearizable", header: []string{"Accept", "application/json"}, status: 200, has: []string{`"version":2,"content_type":"application/octet-stream"}`}},
	{name: "a whole prefix, first dry", method: "DELETE", path: "/v1/kv?prefix={p}&dry_run=true", status: 200, has: []string{`"deleted":1`}},
	{name: "a whole prefix", method: "DELETE", path: "/v1/kv?prefix={p}", status: 200, has: []string{`"deleted":1`}},
	{name: "a whole prefix of nothing", method: "DELETE", path: "/v1/kv?prefix={p}", status: 200, has: []string{`"deleted":0`}},
}

var readRows = []exchange{
	{name: "seed", method: "PUT", path: "/v1/kv/{p}k", body: "v1", header: []string{"Content-Type", "text/plain"}, status: 201},
	{name: "whole", path: "/v1/kv/{p}k", status: 200, is: "v1", fields: []string{"ETag", "{etag}", "Kvd-Revision", "*", "Content-Type", "text/plain", "Content-Length", "2", "X-Content-Type-Options", "nosniff", "Content-Security-Policy", "sandbox"}},
	{name: "head", method: "HEAD", path: "/v1/kv/{p}k", status: 200, fields: []string{"ETag", "{etag}", "Content-Length", "2"}},
	{name: "not modified", path: "/v1/kv/{p}k", header: []string{"If-None-Match", "{etag}"}, status: 304, fields: []string{"ETag", "{etag}"}},
	{name: "modified", path: "/v1/kv/{p}k", header: []string{"If-None-Match", `"1"`}, status: 200, is: "v1"},
	{name: "as JSON", path: "/v1/kv/{p}k", header: []string{"Accept", "application/json"}, status: 200, has: []string{`"key":"{p}k"`, `"value":"v1"`, `"version":1`, `"content_type":"text/plain"`}},
	{name: "stale", path: "/v1/kv/{p}k?consistency=stale&max_stale=1m&min_revision={rev}", status: 200, is: "v1", fields: []string{"Kvd-Staleness", "*"}},
	{name: "not older than", path: "/v1/kv/{p}k?min_revision={rev}", status: 200, is: "v1"},
	{name: "change it", method: "PUT", path: "/v1/kv/{p}k", body: "v2", status: 204},
	{name: "now", path: "/v1/kv/{p}k?revision={rev}", status: 200, is: "v2"},
	{name: "nothing there", path: "/v1/kv/{p}none", status: 404, code: "not_found", fields: []string{"Kvd-Revision", "*"}},
	{name: "wait, and it does not come", path: "/v1/kv/{p}none?wait=200ms", status: 404, code: "not_found"},
	{name: "wait, and it is there", path: "/v1/kv/{p}k?wait=30s", status: 200, is: "v2"},
	{name: "wait for a change that was", path: "/v1/kv/{p}k?wait=30s", header: []string{"If-None-Match", `"1"`}, status: 200, is: "v2"},
	{name: "wait for a change that does not come", path: "/v1/kv/{p}k?wait=200ms", header: []string{"If-None-Match", "{etag}"}, status: 304},
	{name: "future", path: "/v1/kv/{p}k?revision=999999999", status: 400, code: "future_revision"},
}

var listRows = []exchange{
	{name: "seed a", method: "PUT", path: "/v1/kv/{p}a", body: "1", status: 201},
	{name: "seed b", method: "PUT", path: "/v1/kv/{p}b/1", body: "2", status: 201},
	{name: "seed c", method: "PUT", path: "/v1/kv/{p}c%ff", body: "\xff", status: 201},
	{name: "all", path: "/v1/kv?prefix={p}", status: 200, has: []string{`"count":3`, `"key":"{p}a"`, `"key_base64":"`, `"value_base64":"/w=="`}, fields: []string{"Kvd-Revision", "*"}},
	{name: "a range", path: "/v1/kv?start={p}a&end={p}b", status: 200, has: []string{`"count":1`, `{p}a`}},
	{name: "a page", path: "/v1/kv?prefix={p}&limit=1", status: 200, has: []string{`"count":1`}, fields: []string{"Link", "*"}, save: []string{"next"}},
	{name: "the next page", path: "/v1/kv?prefix={p}&limit=1&cursor={next}", status: 200, has: []string{`"count":1`, `{p}b/1`}},
	{name: "from the end", path: "/v1/kv?prefix={p}&limit=1&reverse=true&keys=true", status: 200, has: []string{`"key_base64"`}},
	{name: "folded", path: "/v1/kv?prefix={p}&separator=/", status: 200, has: []string{`"prefixes":["{p}b/"]`}},
	{name: "how many", path: "/v1/kv?prefix={p}&count=true", status: 200, has: []string{`"count":3`}},
	{name: "stale", path: "/v1/kv?prefix={p}&consistency=stale&min_revision={rev}", status: 200, has: []string{`"count":3`}},
	{name: "in lines", path: "/v1/kv?prefix={p}", header: []string{"Accept", "application/x-ndjson"}, status: 200, fields: []string{"Content-Type", "application/x-ndjson", "Kvd-Revision", "*"}},
	{name: "as it was", path: "/v1/kv?prefix={p}&revision={rev}", status: 200, has: []string{`"count":3`}},
}

var txnRows = []exchange{
	{name: "create two", method: "POST", path: "/v1/txn", status: 200,
		body: `{"if":[{"key":"{p}a","exists":false}],"then":[{"put":{"key":"{p}a","value":"1"}},{"put":{"key":"{p}b","value_base64":"/w==","content_type":"image/png","ttl":"90s"}}]}`,
		has:  []string{`"succeeded":true`, `"created":true`}, save: []string{"revision"}},
	{name: "one revision", path: "/v1/kv/{p}b", status: 200, is: "\xff", fields: []string{"ETag", `"{revision}"`, "Content-Type", "image/png"}},
	{name: "every comparison that holds", method: "POST", path: "/v1/txn", status: 200, body: `{"if":[
		{"key":"{p}a","mod_revision":{"eq":{revision}}}, {"key":"{p}a","mod_revision":{"ge":{revision}}}, {"key":"{p}a","mod_revision":{"le":{revision}}},
		{"key":"{p}a","create_revision":{"gt":0}}, {"key":"{p}a","version":{"lt":2}}, {"key":"{p}a","version":{"ne":2}},
		{"key":"{p}a","value":{"eq":"1"}}, {"key":"{p}a","value":{"lt":"2"}}, {"key":"{p}b","value_base64":{"gt":"/g=="}},
		{"key":"{p}a","lease":{"eq":""}}, {"key":"{p}a","exists":true}, {"key":"{p}none","mod_revision":{"eq":0}}],
		"then":[{"get":{"key":"{p}a"}},{"range":{"prefix":"{p}","limit":1}},{"get":{"key":"{p}none"}}]}`,
		has: []string{`"succeeded":true`, `"value":"1"`, `"more":true`, `"count":1`}},
	{name: "the other branch", method: "POST", path: "/v1/txn", status: 200,
		body: `{"if":[{"key":"{p}a","exists":true},{"key":"{p}none","exists":true}],"then":[{"put":{"key":"{p}a","value":"no"}}],"else":[{"put":{"key":"{p}a","value":"2","prev":true}},{"get":{"key":"{p}a"}},{"delete":{"prefix":"{p}b"}}]}`,
		has:  []string{`"succeeded":false`, `"value":"1"`, `"value":"2"`, `"deleted":1`}},
	{name: "nothing changed, nothing rises", method: "POST", path: "/v1/txn", status: 200, body: `{"then":[{"delete":{"key":"{p}b"}}]}`, has: []string{`"succeeded":true`, `"revision":{rev}`, `"deleted":0`}},
	{name: "two writes of one key", method: "POST", path: "/v1/txn", status: 400, code: "bad_txn", body: `{"then":[{"put":{"key":"{p}a","value":"1"}},{"delete":{"prefix":"{p}"}}]}`},
	{name: "unknown operation", method: "POST", path: "/v1/txn", status: 400, code: "bad_txn", body: `{"then":[{"increment":{"key":"{p}a"}}]}`},
	{name: "unknown field", method: "POST", path: "/v1/txn", status: 400, code: "bad_txn", body: `{"then":[{"put":{"key":"{p}a","value":"1","tll":"3s"}}]}`},
	{name: "not JSON", method: "POST", path: "/v1/txn", status: 400, code: "bad_txn", body: `{"then":[`},
	{name: "too many", method: "POST", path: "/v1/txn", status: 400, code: "bad_txn", body: `{"then":[` + strings.Repeat(`{"get":{"key":"k"}},`, 128) + `{"get":{"key":"k"}}]}`},
	{name: "too long a key", method: "POST", path: "/v1/txn", status: 414, code: "key_too_long", body: `{"then":[{"get":{"key":"` + strings.Repeat("k", 4097) + `"}}]}`},
	{name: "no such lease", method: "POST", path: "/v1/txn", status: 404, code: "not_found", body: `{"then":[{"put":{"key":"{p}x","value":"1","lease":"00000000000000ff"}}]}`},
	{name: "and nothing was written", path: "/v1/kv/{p}x", status: 404, code: "not_found"},
}

var leaseRows = []exchange{
	{name: "grant", method: "POST", path: "/v1/leases", body: `{"ttl":"100s"}`, status: 201, has: []string{`"ttl":"1m40s"`}, fields: []string{"Location", "*"}, save: []string{"id"}},
	{name: "attach", method: "PUT", path: "/v1/kv/{p}a?lease={id}", body: "1", status: 201},
	{name: "attach in a transaction", method: "POST", path: "/v1/txn", body: `{"then":[{"put":{"key":"{p}b","value":"2","lease":"{id}"}}]}`, status: 200},
	{name: "compare", method: "POST", path: "/v1/txn", body: `{"if":[{"key":"{p}a","lease":{"eq":"{id}"}}],"then":[]}`, status: 200, has: []string{`"succeeded":true`}},
	{name: "look", path: "/v1/leases/{id}", status: 200, has: []string{`"id":"{id}"`, `"ttl":"1m40s"`, `"remaining":"1m`, `"{p}a"`, `"{p}b"`}},
	{name: "look at all", path: "/v1/leases", status: 200, has: []string{`{id}`}},
	{name: "the key tells it", path: "/v1/kv/{p}a", header: []string{"Accept", "application/json"}, status: 200, has: []string{`"lease":"{id}"`}},
	{name: "keep", method: "POST", path: "/v1/leases/{id}/keepalive", status: 200, has: []string{`"remaining":"1m40s"`}},
	{name: "detach", method: "PUT", path: "/v1/kv/{p}b", body: "3", status: 204},
	{name: "revoke", method: "DELETE", path: "/v1/leases/{id}", status: 204},
	{name: "its key is gone", path: "/v1/kv/{p}a", status: 404, code: "not_found"},
	{name: "the detached one is not", path: "/v1/kv/{p}b", status: 200, is: "3"},
	{name: "revoke again", method: "DELETE", path: "/v1/leases/{id}", status: 404, code: "not_found"},
	{name: "keep what is gone", method: "POST", path: "/v1/leases/{id}/keepalive", status: 404, code: "not_found"},
	{name: "look at what is gone", path: "/v1/leases/{id}", status: 404, code: "not_found"},
	{name: "attach to what is gone", method: "PUT", path: "/v1/kv/{p}a?lease={id}", body: "1", status: 404, code: "not_found"},
	{name: "no time", method: "POST", path: "/v1/leases", body: `{"ttl":"0s"}`, status: 400, code: "bad_parameter"},
	{name: "negative time", method: "POST", path: "/v1/leases", body: `{"ttl":"-3s"}`, status: 400, code: "bad_parameter"},
	{name: "no number", method: "POST", path: "/v1/leases", body: `{"ttl":"NaN"}`, status: 400, code: "bad_parameter"},
	{name: "forever", method: "POST", path: "/v1/leases", body: `{"ttl":"1000000000h"}`, status: 400, code: "bad_parameter"},
	{name: "no TTL", method: "PUT", path: "/v1/kv/{p}a?ttl=soon", body: "1", status: 400, code: "bad_parameter"},
	{name: "both", method: "PUT", path: "/v1/kv/{p}a?ttl=3s&lease={id}", body: "1", status: 400, code: "bad_parameter"},
}

var idempotencyRows = []exchange{
	{name: "nobody knows it", path: "/v1/requests/{p}1", status: 404, code: "not_found"},
	{name: "first", method: "PUT", path: "/v1/kv/{p}k", body: "1", header: []string{"Idempotency-Key", "{p}1"}, status: 201, fields: []string{"Idempotent-Replay", "", "ETag", "*"}},
	{name: "again", method: "PUT", path: "/v1/kv/{p}k", body: "1", header: []string{"Idempotency-Key", `"{p}1"`}, status: 201, fields: []string{"Idempotent-Replay", "true", "ETag", "{etag}"}},
	{name: "with another body", method: "PUT", path: "/v1/kv/{p}k", body: "2", header: []string{"Idempotency-Key", "{p}1"}, status: 422, code: "idempotency_mismatch"},
	{name: "it is known", path: "/v1/requests/{p}1", status: 200, has: []string{`"state":"applied"`, `"status":201`, `"revision":`}},
	{name: "written once", path: "/v1/kv/{p}k", header: []string{"Accept", "application/json"}, status: 200, has: []string{`"version":1`, `"value":"1"`}},
	{name: "a condition that fails", method: "PUT", path: "/v1/kv/{p}k", body: "3", header: []string{"Idempotency-Key", "{p}2", "If-None-Match", "*"}, status: 412, code: "precondition_failed"},
	{name: "its key goes", method: "DELETE", path: "/v1/kv/{p}k", header: []string{"Idempotency-Key", "{p}3"}, status: 204, fields: []string{"Kvd-Deleted", "1"}},
	{name: "it still fails", method: "PUT", path: "/v1/kv/{p}k", body: "3", header: []string{"Idempotency-Key", "{p}2", "If-None-Match", "*"}, status: 412, code: "precondition_failed", fields: []string{"Idempotent-Replay", "true"}},
	{name: "deleted once", method: "DELETE", path: "/v1/kv/{p}k", header: []string{"Idempotency-Key", "{p}3"}, status: 204, fields: []string{"Kvd-Deleted", "1", "Idempotent-Replay", "true"}},
	{name: "a transaction", method: "POST", path: "/v1/txn", body: `{"then":[{"put":{"key":"{p}t","value":"1","prev":true}}]}`, header: []string{"Idempotency-Key", "{p}4"}, status: 200, has: []string{`"created":true`}, save: []string{"revision"}},
	{name: "a transaction again", method: "POST", path: "/v1/txn", body: `{"then":[{"put":{"key":"{p}t","value":"1","prev":true}}]}`, header: []string{"Idempotency-Key", "{p}4"}, status: 200, has: []string{`"created":true`, `"revision":{revision}`}, fields: []string{"Idempotent-Replay", "true"}},
	{name: "a prefix", method: "DELETE", path: "/v1/kv?prefix={p}", header: []string{"Idempotency-Key", "{p}5"}, status: 200, has: []string{`"deleted":1`}},
	{name: "a prefix again", method: "DELETE", path: "/v1/kv?prefix={p}", header: []string{"Idempotency-Key", "{p}5"}, status: 200, has: []string{`"deleted":1`}, fields: []string{"Idempotent-Replay", "true"}},
	{name: "a lease", method: "POST", path: "/v1/leases", body: `{"ttl":"50s"}`, header: []string{"Idempotency-Key", "{p}6"}, status: 201, save: []string{"id"}},
	{name: "the same lease", method: "POST", path: "/v1/leases", body: `{"ttl":"50s"}`, header: []string{"Idempotency-Key", "{p}6"}, status: 201, has: []string{"{id}"}, fields: []string{"Idempotent-Replay", "true"}},
	{name: "revoked", method: "DELETE", path: "/v1/leases/{id}", header: []string{"Idempotency-Key", "{p}7"}, status: 204},
	{name: "revoked once", method: "DELETE", path: "/v1/leases/{id}", header: []string{"Idempotency-Key", "{p}7"}, status: 204, fields: []string{"Idempotent-Replay", "true"}},
	{name: "no visible character", method: "PUT", path: "/v1/kv/{p}k", body: "1", header: []string{"Idempotency-Key", "a b"}, status: 400, code: "bad_parameter"},
	{name: "too long", method: "PUT", path: "/v1/kv/{p}k", body: "1", header: []string{"Idempotency-Key", strings.Repeat("k", 129)}, status: 400, code: "bad_parameter"},
}

var clusterRows = []exchange{
	{name: "members", path: "/v1/members", status: 200, has: []string{`"role":"leader"`, `"id":3`}},
	{name: "status", path: "/v1/status", status: 200, has: []string{`"term"`, `"applied"`, `"revision"`}},
	{name: "alive", path: "/livez", status: 200},
	{name: "ready", path: "/readyz", status: 200},
	{name: "metrics", path: "/metrics", status: 200, has: []string{"kvd_"}},
	{name: "version", path: "/version", status: 200},
	{name: "OpenAPI", path: "/v1/openapi.json", status: 200, has: []string{`"openapi":`, `/v1/watch`}},
	{name: "a member that is there", method: "POST", path: "/v1/members", body: `{"id":2,"peer_url":"http://127.0.0.1:1"}`, status: 409, code: "exists"},
	{name: "no such member", method: "DELETE", path: "/v1/members/77", status: 404, code: "not_found"},
	{name: "compact the future", method: "POST", path: "/v1/compact", body: `{"revision":999999999}`, status: 400, code: "future_revision"},
}

// refusalRows are requests that are wrong in themselves.
func refusalRows() []exchange {
	return []exchange{
		{name: "no key", method: "PUT", path: "/v1/kv/", body: "v", status: 400, code: "bad_key"},
		{name: "too long a key", method: "PUT", path: "/v1/kv/" + strings.Repeat("k", 4097), body: "v", status: 414, code: "key_too_long"},
		{name: "too large a value", method: "PUT", path: "/v1/kv/{p}k", body: strings.Repeat("v", 1<<20+1), status: 413, code: "too_large"},
		{name: "a typo of a parameter", method: "PUT", path: "/v1/kv/{p}k?ca=1", body: "v", status: 400, code: "bad_parameter"},
		{name: "both conditions", method: "PUT", path: "/v1/kv/{p}k", body: "v", header: []string{"If-Match", "*", "If-None-Match", "*"}, status: 400, code: "bad_condition"},
		{name: "a weak tag", method: "PUT", path: "/v1/kv/{p}k", body: "v", header: []string{"If-Match", `W/"1"`}, status: 400, code: "bad_condition"},
		{name: "no JSON", method: "POST", path: "/v1/leases", body: "ttl=3s", status: 400, code: "bad_json"},
		{name: "no path", path: "/v1/nothing", status: 404, code: "not_found"},
		{name: "no method", method: "POST", path: "/v1/kv/{p}k", body: "v", status: 405, code: "method_not_allowed", fields: []string{"Allow", "*"}},
		{name: "a foreign page", method: "PUT", path: "/v1/kv/{p}k", body: "v", header: []string{"Sec-Fetch-Site", "cross-site"}, status: 403, code: "cross_origin"},
		{name: "nothing was written", path: "/v1/kv/{p}k", status: 404, code: "not_found"},
		{name: "wait for no time", path: "/v1/kv/{p}k?wait=0s", status: 400, code: "bad_parameter"},
		{name: "watch the future", path: "/v1/watch?since=999999999", status: 400, code: "future_revision"},
		{name: "watch by a typo", path: "/v1/watch?perfix=a", status: 400, code: "bad_parameter"},
	}
}
