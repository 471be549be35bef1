package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"kvd/internal/kvstore"
)

func TestParseIdempotencyKey(t *testing.T) {
	for s, want := range map[string]string{
		"k": "k", `"k"`: "k", "8e03978e-40d5-43dd-bc93-6894a57f9324": "8e03978e-40d5-43dd-bc93-6894a57f9324", "a,b;c=%20\\": "a,b;c=%20\\",
		"!~": "!~", strings.Repeat("k", 128): strings.Repeat("k", 128), `"` + strings.Repeat("k", 128) + `"`: strings.Repeat("k", 128),
	} {
		if got, ok := parseIdempotencyKey(s); !ok || got != want {
			t.Errorf("%q: got %q, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", `"`, `""`, `"""`, `"k`, `k"`, `a"b`, `"a"b"`, "a b", "a\tb", "a\x00", "\x7f", "é", "\xff", " k", strings.Repeat("k", 129), `"` + strings.Repeat("k", 129) + `"`} {
		if got, ok := parseIdempotencyKey(s); ok {
			t.Errorf("%q was taken as %q", s, got)
		}
	}
}

// FuzzIdempotencyKey: what is taken is within the limits, and has one reading,
// with quotes and without.
func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"k", `"k"`, `""`, `"`, "a b", "é", strings.Repeat("k", 129), `"a"b"`, "a\\b", "\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, ok := parseIdempotencyKey(s)
		if !ok {
			return
		}
		if len(key) < 1 || len(key) > kvstore.MaxIdempotencyKeyBytes || strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' || r == '"' }) {
			t.Fatalf("%q was taken as %q", s, key)
		}
		if s != key && s != `"`+key+`"` {
			t.Fatalf("%q was taken as %q", s, key)
		}
		for _, same := range []string{key, `"` + key + `"`} {
			if again, ok := parseIdempotencyKey(same); !ok || again != key {
				t.Fatalf("%q is %q, and %q is %q", s, key, same, again)
			}
		}
	})
}

// keyedWrites are one request of each route that takes an Idempotency-Key and
// some more, with the status that it is answered with in a store where lease,
// a and b are there, and another request that differs only in what is written.
var keyedWrites = []struct {
	route                        string
	method, target, body, header string
	status                       int
	otherTarget, otherBody       string
}{
	{"/v1/kv/{key}", "PUT", "/v1/kv/new", "v", "", 201, "/v1/kv/new", "w"},
	{"/v1/kv/{key}", "PUT", "/v1/kv/a", "v", "", 204, "/v1/kv/b", "v"},
	{"/v1/kv/{key}", "PUT", "/v1/kv/a?prev=true", "v", "", 200, "/v1/kv/a", "v"},
	{"/v1/kv/{key}", "PUT", "/v1/kv/new?prev=true&ttl=30s", "v", "", 200, "/v1/kv/new?prev=true&ttl=31s", "v"},
	{"/v1/kv/{key}", "PUT", "/v1/kv/new?lease=LEASE", "v", "", 201, "/v1/kv/new", "v"},
	{"/v1/kv/{key}", "PUT", "/v1/kv/a", "v", "If-None-Match: *", 412, "/v1/kv/a", "w"},
	{"/v1/kv/{key}", "PUT", "/v1/kv/none", "v", "If-Match: *", 412, "/v1/kv/none", "w"},
	{"/v1/kv/{key}", "PUT", "/v1/kv/a?lease=00000000000000ff", "v", "", 404, "/v1/kv/a", "v"},
	{"/v1/kv/{key}", "DELETE", "/v1/kv/a", "", "", 204, "/v1/kv/b", ""},
	{"/v1/kv/{key}", "DELETE", "/v1/kv/none", "", "", 204, "/v1/kv/b", ""},
	{"/v1/kv/{key}", "DELETE", "/v1/kv/a?prev=true", "", "", 200, "/v1/kv/a", ""},
	{"/v1/kv/{key}", "DELETE", "/v1/kv/a", "", `If-Match: "7"`, 412, "/v1/kv/b", ""},
	{"/v1/kv", "DELETE", "/v1/kv?prefix=a", "", "", 200, "/v1/kv?prefix=b", ""},
	{"/v1/kv", "DELETE", "/v1/kv?prefix=none", "", "", 200, "/v1/kv?prefix=b", ""},
	{"/v1/txn", "POST", "/v1/txn", `{"then":[{"put":{"key":"a","value":"v","prev":true}},{"get":{"key":"b"}},{"range":{}}]}`, "", 200, "/v1/txn", `{}`},
	{"/v1/txn", "POST", "/v1/txn", `{"then":[{"put":{"key":"a","value":"v","lease":"00000000000000ff"}}]}`, "", 404, "/v1/txn", `{}`},
	{"/v1/compact", "POST", "/v1/compact", `{"revision":2}`, "", 200, "/v1/compact", `{"revision":1}`},
	{"/v1/compact", "POST", "/v1/compact", `{"revision":99}`, "", 400, "/v1/compact", `{"revision":1}`},
	{"/v1/leases", "POST", "/v1/leases", `{"ttl":"30s"}`, "", 201, "/v1/leases", `{"ttl":"31s"}`},
	{"/v1/leases/{id}", "DELETE", "/v1/leases/LEASE", "", "", 204, "/v1/leases/00000000000000ff", ""},
	{"/v1/leases/{id}", "DELETE", "/v1/leases/00000000000000ff", "", "", 404, "/v1/leases/LEASE", ""},
	{"/v1/leases/{id}/keepalive", "POST", "/v1/leases/LEASE/keepalive", "", "", 200, "/v1/leases/00000000000000ff/keepalive", ""},
	{"/v1/leases/{id}/keepalive", "POST", "/v1/leases/00000000000000ff/keepalive", "", "", 404, "/v1/leases/LEASE/keepalive", ""},
}

// body is an answer's, without what is of each request alone.
func bodyOf(t *testing.T, resp *http.Response) string {
	body := readAll(t, resp)
	if before, id, ok := strings.Cut(body, `"request_id":"`); ok {
		_, after, _ := strings.Cut(id, `"`)
		return before + after
	}
	return body
}

// TestReplays sends each write a second time, when its result did not come back
// the first time and when it did, after other writes: it changes nothing, and
// says what the first one said.
func TestReplays(t *testing.T) {
	for _, tt := range keyedWrites {
		name := tt.method + " " + tt.target
		f := newFixture(t)
		lease := f.grant("30s")
		f.want(201, "", "PUT", "/v1/kv/a?lease="+lease, "1")
		f.want(201, "", "PUT", "/v1/kv/b", "1")
		target, other := strings.ReplaceAll(tt.target, "LEASE", lease), strings.ReplaceAll(tt.otherTarget, "LEASE", lease)
		headers := []string{"Idempotency-Key: first/%"}
		if tt.header != "" {
			headers = append(headers, tt.header)
		}
		f.wantProblem(404, "not_found", "", "GET", "/v1/requests/first%2F%25", "")

		// What a request without a key is answered with, in a store of its own.
		twin := newFixture(t)
		twin.grant("30s")
		twin.want(201, "", "PUT", "/v1/kv/a?lease="+lease, "1")
		twin.want(201, "", "PUT", "/v1/kv/b", "1")
		plain := twin.do(tt.method, target, tt.body, headers[1:]...)
		wantBody := bodyOf(t, plain)
		if plain.StatusCode != tt.status {
			t.Errorf("%s: status %d, want %d: %s", name, plain.StatusCode, tt.status, wantBody)
		}

		f.log.set(func(l *directLog) { l.lose = func(int) bool { return true } })
		f.wantProblem(504, "outcome_unknown", unknown, tt.method, target, tt.body, headers...)
		f.log.set(func(l *directLog) { l.lose = nil })
		f.do("PUT", "/v1/kv/a", "of somebody else")
		f.do("DELETE", "/v1/kv/new", "")
		f.do("PUT", "/v1/kv/none", "of somebody else")
		revision := f.machine.Revision()
		for _, key := range []string{"first/%", `"first/%"`} {
			headers[0] = "Idempotency-Key: " + key
			resp := f.do(tt.method, target, tt.body, headers...)
			if body := bodyOf(t, resp); resp.StatusCode != tt.status || body != wantBody {
				t.Errorf("%s: replayed %d %q, want %d %q", name, resp.StatusCode, body, tt.status, wantBody)
			}
			want := map[string]string{"Idempotent-Replay": "true"}
			for _, header := range []string{"Etag", "Kvd-Revision", "Kvd-Deleted", "Location", "Content-Type"} {
				want[header] = plain.Header.Get(header)
			}
			wantHeader(t, resp, want)
		}
		if plain.Header.Get("Idempotent-Replay") != "" {
			t.Errorf("%s: a first answer is called a replay", name)
		}

		// Another request under the key, and a word about the first.
		f.wantProblem(422, "idempotency_mismatch", notApplied, tt.method, other, tt.otherBody, "Idempotency-Key: first/%")
		resp := f.do("GET", "/v1/requests/first%2F%25", "")
		got := readAll(t, resp)
		if want := `{"state":"applied","revision":` + plain.Header.Get("Kvd-Revision") + `,"status":` + itoa(tt.status) + "}\n"; plain.Header.Get("Kvd-Revision") != "" && got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		} else if !strings.HasSuffix(got, `,"status":`+itoa(tt.status)+"}\n") {
			t.Errorf("%s: got %s of %d", name, got, tt.status)
		}
		if now := f.machine.Revision(); now != revision {
			t.Errorf("%s: revision %d after %d", name, now, revision)
		}
	}
}

// Every route that writes has thought of the key: it takes one, and is in
// keyedWrites, or says why not.
func TestEveryWriteKnowsTheKey(t *testing.T) {
	f := newFixture(t)
	for _, res := range routes {
		for _, a := range res.actions {
			if a.kind&writes == 0 {
				continue
			}
			sent := false
			for _, tt := range keyedWrites {
				if tt.route != res.path || tt.method != a.method {
					continue
				}
				sent = true
				target := strings.ReplaceAll(tt.target, "LEASE", "00000000000000ff")
				for _, headers := range [][]string{{"Idempotency-Key: a b"}, {"Idempotency-Key: "}, {"Idempotency-Key: a", "Idempotency-Key: a"}, {"Idempotency-Key: " + strings.Repeat("k", 129)}} {
					doc := f.wantProblem(400, "bad_parameter", notApplied, tt.method, target, tt.body, headers...)
					if doc.Parameter != "Idempotency-Key" || !strings.Contains(doc.Detail, "128 visible ASCII") {
						t.Errorf("%s %s: %+v", tt.method, target, doc)
					}
				}
			}
			if sent {
				continue
			}
			doc := f.wantProblem(400, "bad_parameter", notApplied, a.method, strings.ReplaceAll(res.path, "{id}", "3"), `{"peer_url":"http://x:1"}`, "Idempotency-Key: k")
			if doc.Parameter != "Idempotency-Key" || !strings.Contains(doc.Detail, "can be repeated as it is") {
				t.Errorf("%s %s: %+v", a.method, res.path, doc)
			}
		}
	}
	if n := f.log.proposals(); n != 0 || len(f.cluster.added)+len(f.cluster.removed) != 0 {
		t.Errorf("%d commands were proposed", n)
	}
}

// Clients that count with transactions, and send each again under its key for as
// long as its answer is lost, count every step once.
func TestCountingThroughLostAnswers(t *testing.T) {
	f := newFixture(t)
	f.want(201, "", "PUT", "/v1/kv/count", "0")
	f.log.set(func(l *directLog) { l.lose = func(n int) bool { return n%3 != 0 } })
	const clients, steps = 4, 20
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			tries := 0
			for step := 0; step < steps; tries++ {
				resp := f.do("GET", "/v1/kv/count", "")
				n, err := strconv.Atoi(readAll(t, resp))
				if err != nil {
					t.Error(err)
					return
				}
				body := fmt.Sprintf(`{"if":[{"key":"count","mod_revision":{"eq":%s}}],"then":[{"put":{"key":"count","value":"%d"}}]}`,
					strings.Trim(resp.Header.Get("ETag"), `"`), n+1)
				status, answer := 504, ""
				for status == 504 {
					resp := f.do("POST", "/v1/txn", body, fmt.Sprintf("Idempotency-Key: %d.%d", client, tries))
					status, answer = resp.StatusCode, readAll(t, resp)
				}
				if status != 200 {
					t.Errorf("status %d: %s", status, answer)
					return
				}
				if strings.HasPrefix(answer, `{"succeeded":true`) {
					step++
				}
			}
		})
	}
	all.Wait()
	f.want(200, strconv.Itoa(clients*steps), "GET", "/v1/kv/count", "")
}

func TestCompatKnowsTheKey(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Compat = true })
	const header = "Idempotency-Key: k"
	f.want(204, "", "PUT", "/a", "1", header)
	resp := f.want(204, "", "PUT", "/a", "1", header)
	wantHeader(t, resp, map[string]string{"Idempotent-Replay": "true", "Etag": `"1"`})
	wantHeader(t, f.want(201, "", "PUT", "/v1/kv/a", "1", header), map[string]string{"Idempotent-Replay": "true"})
	f.wantProblem(422, "idempotency_mismatch", notApplied, "PUT", "/a", "2", header)
	f.wantProblem(400, "bad_parameter", notApplied, "POST", "/4", "http://x:1", header)
	f.wantProblem(400, "bad_parameter", notApplied, "DELETE", "/4", "", header)
	if f.machine.Revision() != 1 || len(f.cluster.added)+len(f.cluster.removed) != 0 {
		t.Errorf("revision %d, members %v %v", f.machine.Revision(), f.cluster.added, f.cluster.removed)
	}
}

func TestRequests(t *testing.T) {
	f := newFixture(t)
	c := dial(t, f.serve(ServerConfig{}))
	c.send("PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: \"a/%25+b\"\r\nContent-Length: 1\r\n\r\nv")
	if resp := c.receive("PUT"); resp.StatusCode != 201 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	for _, tt := range []struct {
		target string
		status int
	}{
		{"/v1/requests/a/%2525+b", 200}, // decoded once
		{"/v1/requests/a%2F%2525%2Bb", 200},
		{"/v1/requests/%22a/%2525+b%22", 200},
		{"/v1/requests/a/%25+b", 404},
		{"/v1/requests/a/%2525%20b", 400},
		{"/v1/requests/", 400},
		{"/v1/requests", 404},
		{"/v1/requests/" + strings.Repeat("k", 129), 400},
		{"/v1/requests/k?revision=1", 400},
		{"/v1/requests/a/%2525+b?consistency=stale", 200},
		{"/v1/requests/a/%2525+b?min_revision=1", 200},
		{"/v1/requests/a/%2525+b?min_revision=2&timeout=1ms", 503},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			c.send(method + " " + tt.target + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
			resp := c.receive(method)
			body := readAll(t, resp)
			if resp.StatusCode != tt.status || method == "GET" && tt.status == 200 && body != `{"state":"applied","revision":1,"status":201}`+"\n" {
				t.Errorf("%s %.60s: status %d, want %d: %s", method, tt.target, resp.StatusCode, tt.status, body)
			}
		}
	}
	// Two lines on the wire are two keys, whatever they say.
	c.send("PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: k\r\nidempotency-key: k\r\nContent-Length: 1\r\n\r\nv")
	if doc := checkProblem(t, c.receive("PUT"), 400, "bad_parameter", notApplied); doc.Parameter != "Idempotency-Key" {
		t.Errorf("the error names %q", doc.Parameter)
	}
	f.log.set(func(l *directLog) { l.readErr = kvstore.ErrNoLeader })
	f.wantProblem(503, "no_leader", "", "GET", "/v1/requests/k", "")
}
