package httpapi

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

func closeWrite(c *conn) {
	c.t.Helper()
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// grant makes a lease and returns its id.
func (f *fixture) grant(ttl string) string {
	f.t.Helper()
	resp := f.do("POST", "/v1/leases", `{"ttl":"`+ttl+`"}`)
	body := readAll(f.t, resp)
	var j struct{ ID, TTL string }
	if err := json.Unmarshal([]byte(body), &j); err != nil || resp.StatusCode != 201 || len(j.ID) != 16 {
		f.t.Fatalf("status %d, %s", resp.StatusCode, body)
	}
	if got := resp.Header.Get("Location"); got != "/v1/leases/"+j.ID {
		f.t.Errorf("Location %q of lease %s", got, j.ID)
	}
	return j.ID
}

// at sets the log's clock, for what is applied and for what is asked.
func (f *fixture) at(clock time.Duration) {
	f.log.set(func(l *directLog) { l.clock = clock })
	f.cluster.set(func(c *fakeCluster) { c.clock = clock })
}

// expire ends what is due, as a leader does.
func (f *fixture) expire() {
	f.t.Helper()
	if _, err := f.h.cfg.Store.(*kvstore.DB).Expire(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

func TestTTL(t *testing.T) {
	f := newFixture(t)
	f.want(201, "", "PUT", "/v1/kv/k?ttl=30s", "v")
	const want = `{"key":"k","value":"v","mod_revision":1,"create_revision":1,"version":1,"content_type":"application/octet-stream","ttl":"30s"}`
	f.want(200, want+"\n", "GET", "/v1/kv/k", "", "Accept: application/json")
	f.want(200, `{"revision":1,"count":1,"items":[`+want+`]}`+"\n", "GET", "/v1/kv", "")
	f.want(200, want+"\n", "GET", "/v1/kv", "", ndjson)
	f.txn(`{"then":[{"get":{"key":"k"}}]}`, `{"succeeded":true,"revision":1,"results":[{"get":`+want+`}]}`)

	f.at(29 * time.Second)
	f.expire()
	f.want(200, "v", "GET", "/v1/kv/k", "")
	f.at(30 * time.Second)
	f.expire()
	f.want(404, "", "GET", "/v1/kv/k", "")

	// Another put without ttl gives the key its whole life back.
	f.want(201, "", "PUT", "/v1/kv/k?ttl=1m30s", "v")
	f.want(200, `{"revision":4,"created":false,"prev":{"key":"k","value":"v","mod_revision":3,"create_revision":3,"version":1,"content_type":"application/octet-stream","ttl":"1m30s"}}`+"\n",
		"PUT", "/v1/kv/k?prev=true", "w")
	f.at(time.Hour)
	f.expire()
	f.want(200, "w", "GET", "/v1/kv/k", "")
}

func TestLeases(t *testing.T) {
	f := newFixture(t)
	f.want(200, "[]\n", "GET", "/v1/leases", "")
	id := f.grant("30s")
	f.want(201, "", "PUT", "/v1/kv/b?lease="+id, "v")
	f.want(201, "", "PUT", "/v1/kv/a?lease="+id, "v")
	f.want(201, "", "PUT", "/v1/kv/%FF?lease="+id, "v")
	f.txn(`{"if":[{"key":"a","lease":{"eq":"`+id+`"}},{"key":"a","lease":{"ne":""}}],"then":[{"put":{"key":"c","value":"","lease":"`+id+`"}}]}`,
		`{"succeeded":true,"revision":4,"results":[{"put":{"created":true,"mod_revision":4}}]}`)
	f.want(200, `{"key":"a","value":"v","mod_revision":2,"create_revision":2,"version":1,"content_type":"application/octet-stream","lease":"`+id+`"}`+"\n",
		"GET", "/v1/kv/a", "", "Accept: application/json")

	f.at(12*time.Second + 345678*time.Microsecond)
	want := `{"id":"` + id + `","ttl":"30s","remaining":"17.654s","keys":["a","b","c"],"keys_base64":["/w=="]}` + "\n"
	f.want(200, want, "GET", "/v1/leases/"+id, "")
	f.want(200, "", "HEAD", "/v1/leases/"+id, "")
	f.want(200, `[{"id":"`+id+`","ttl":"30s","remaining":"17.654s"}]`+"\n", "GET", "/v1/leases", "")
	resp := f.want(200, `{"remaining":"30s"}`+"\n", "POST", "/v1/leases/"+id+"/keepalive", "")
	wantHeader(t, resp, map[string]string{"Kvd-Revision": "4"})
	f.cluster.set(func(c *fakeCluster) { c.clock = time.Hour }) // nobody has told the store yet
	f.want(200, `[{"id":"`+id+`","ttl":"30s","remaining":"0s"}]`+"\n", "GET", "/v1/leases", "")

	// The four ways of a read.
	f.cluster.set(func(c *fakeCluster) { c.age = time.Second })
	for _, path := range []string{"/v1/leases", "/v1/leases/" + id} {
		wantHeader(t, f.want(200, "", "GET", path+"?consistency=stale&max_stale=2s", ""), map[string]string{"Kvd-Staleness": "1s"})
		f.wantProblem(503, "too_stale", "", "GET", path+"?consistency=stale&max_stale=1ms", "")
		f.want(200, "", "GET", path+"?min_revision=4", "")
		f.wantProblem(503, "no_leader", "", "GET", path+"?min_revision=5&timeout=1ms", "")
		f.wantProblem(400, "bad_parameter", "", "GET", path+"?revision=1", "")
		f.wantProblem(400, "bad_parameter", "", "GET", path+"?max_stale=1s", "")
	}

	resp = f.want(204, "", "DELETE", "/v1/leases/"+id, "")
	wantHeader(t, resp, map[string]string{"Kvd-Deleted": "4", "Kvd-Revision": "5"})
	if n := f.machine.Len(); n != 0 {
		t.Errorf("%d keys outlived their lease", n)
	}
	f.wantProblem(404, "not_found", "", "GET", "/v1/leases/"+id, "")
}

func TestLeaseErrors(t *testing.T) {
	f := newFixture(t)
	for body, code := range map[string]string{
		``: "bad_json", `[]`: "bad_json", `{"ttl":30}`: "bad_json", `{"ttl":"30s","id":"7f"}`: "bad_json", `{"ttl":"30s","ttl":"30s"}`: "bad_json",
		`{}`: "bad_parameter", `{"ttl":""}`: "bad_parameter", `{"ttl":"0s"}`: "bad_parameter", `{"ttl":"-1s"}`: "bad_parameter", `{"ttl":"NaN"}`: "bad_parameter",
		`{"ttl":"1000000000000000000"}`: "bad_parameter", `{"ttl":"999ms"}`: "bad_parameter", `{"ttl":"87601h"}`: "bad_parameter",
	} {
		doc := f.wantProblem(400, code, notApplied, "POST", "/v1/leases", body)
		if code == "bad_parameter" && doc.Parameter != "ttl" {
			t.Errorf("%s: the error names %q", body, doc.Parameter)
		}
	}
	f.wantProblem(400, "bad_parameter", notApplied, "POST", "/v1/leases?ttl=30s", `{"ttl":"30s"}`)
	for _, ttl := range []string{"", "0s", "-1s", "NaN", "1000000000000000000", "999ms", "87601h"} {
		f.wantProblem(400, "bad_parameter", notApplied, "PUT", "/v1/kv/k?ttl="+ttl, "v")
	}
	for _, id := range []string{"", "7f", "0000000000000000", "00000000000000FF", "00000000000000f%2f", "../kv/00000000", "x/keepalive/x"} {
		f.wantProblem(400, "bad_parameter", "", "GET", "/v1/leases/"+id, "")
		f.wantProblem(400, "bad_parameter", notApplied, "DELETE", "/v1/leases/"+id, "")
		f.wantProblem(400, "bad_parameter", notApplied, "POST", "/v1/leases/"+id+"/keepalive", "")
	}
	const none = "00000000000000ff"
	f.wantProblem(400, "bad_parameter", notApplied, "PUT", "/v1/kv/k?ttl=30s&lease="+none, "v")
	if n := f.log.proposals(); n != 0 {
		t.Errorf("%d commands were proposed", n)
	}

	// One that never was, and one that has ended, before and after it was told.
	ended := f.grant("30s")
	f.want(201, "", "PUT", "/v1/kv/old?lease="+ended, "v")
	f.at(30 * time.Second)
	check := func(id string) {
		t.Helper()
		for _, tt := range []struct{ method, target string }{
			{"PUT", "/v1/kv/k?lease=" + id}, {"POST", "/v1/leases/" + id + "/keepalive"}, {"DELETE", "/v1/leases/" + id},
		} {
			if doc := f.wantProblem(404, "not_found", notApplied, tt.method, tt.target, "v"); doc.Detail != "no such lease" {
				t.Errorf("%s %s: detail %q", tt.method, tt.target, doc.Detail)
			}
		}
	}
	check(none)
	check(ended)
	f.wantProblem(404, "not_found", "", "GET", "/v1/leases/"+none, "")
	f.expire()
	check(ended)
	f.wantProblem(404, "not_found", "", "GET", "/v1/leases/"+ended, "")
	f.wantProblem(404, "not_found", "", "GET", "/v1/kv/old", "")
	f.wantProblem(404, "not_found", "", "GET", "/v1/kv/k", "")

	f.log.set(func(l *directLog) { l.err, l.readErr = kvstore.ErrOutcomeUnknown, kvstore.ErrNoLeader })
	f.wantProblem(504, "outcome_unknown", unknown, "POST", "/v1/leases", `{"ttl":"30s"}`)
	f.wantProblem(504, "outcome_unknown", unknown, "DELETE", "/v1/leases/"+none, "")
	f.wantProblem(504, "outcome_unknown", unknown, "POST", "/v1/leases/"+none+"/keepalive", "")
	f.wantProblem(503, "no_leader", "", "GET", "/v1/leases", "")
	f.wantProblem(503, "no_leader", "", "GET", "/v1/leases/"+none, "")
	f.h.Drain()
	f.wantProblem(503, "stopping", notApplied, "POST", "/v1/leases", `{"ttl":"30s"}`)
	f.wantProblem(503, "stopping", notApplied, "POST", "/v1/leases/"+none+"/keepalive", "")
}

func TestLeasesOnTheWire(t *testing.T) {
	f := newFixture(t)
	c := dial(t, f.serve(ServerConfig{}))
	c.send("POST /v1/leases HTTP/1.1\r\nHost: localhost\r\nContent-Length: 13\r\n\r\n" + `{"ttl":"30s"}`)
	location := c.receive("POST").Header.Get("Location")
	for _, tt := range []struct {
		method, target string
		status         int
	}{
		{"GET", location, 200},
		{"HEAD", location, 200},
		{"POST", location + "/keepalive", 200},
		{"GET", location + "/keepalive", 405},
		{"POST", location, 405},
		{"GET", strings.Replace(location, "leases/", "leases//", 1), 400},
		{"GET", strings.Replace(location, "leases/", "leases%2F", 1), 404},
		{"GET", location + "/", 400},
		{"DELETE", location, 204},
		{"DELETE", location, 404},
	} {
		c.send(tt.method + " " + tt.target + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if resp := c.receive(tt.method); resp.StatusCode != tt.status {
			t.Errorf("%s %s: status %d, want %d: %s", tt.method, tt.target, resp.StatusCode, tt.status, readAll(t, resp))
		}
	}
}

// A quota refuses what makes the store larger and nothing else, until there is
// room again.
func TestNoSpace(t *testing.T) {
	m := kvstore.NewMachine()
	log := &directLog{m: m}
	db := kvstore.NewDB(m, log)
	db.QuotaBytes = 10_000
	f := newFixture(t, func(c *Config) { c.Store, c.Stats = db, m })
	lease := f.grant("30s")
	big := strings.Repeat("v", 10_000)
	f.want(201, "", "PUT", "/v1/kv/big", big, "Idempotency-Key: first")
	for _, tt := range []struct{ method, target, body string }{
		{"PUT", "/v1/kv/k", "v"}, {"POST", "/v1/leases", `{"ttl":"30s"}`}, {"POST", "/v1/txn", `{"else":[{"put":{"key":"k","value":""}}]}`},
	} {
		resp := f.do(tt.method, tt.target, tt.body)
		if resp.Header.Get("Retry-After") != "" {
			t.Errorf("%s %s: it is not time that makes room", tt.method, tt.target)
		}
		checkProblem(t, resp, http.StatusInsufficientStorage, "no_space", notApplied)
	}
	// What was done is told, and what was not may be done later under its key.
	wantHeader(t, f.want(201, "", "PUT", "/v1/kv/big", big, "Idempotency-Key: first"), map[string]string{"Idempotent-Replay": "true"})
	f.wantProblem(507, "no_space", notApplied, "PUT", "/v1/kv/k", "v", "Idempotency-Key: later")
	f.want(200, "", "GET", "/v1/kv", "")
	f.want(200, "", "POST", "/v1/txn", `{"then":[{"get":{"key":"big"}}]}`)
	f.want(200, "", "POST", "/v1/leases/"+lease+"/keepalive", "")
	f.want(204, "", "DELETE", "/v1/leases/"+lease, "")
	f.want(200, "", "DELETE", "/v1/kv?prefix=none", "")
	f.want(204, "", "DELETE", "/v1/kv/big", "")
	f.want(200, "", "POST", "/v1/compact", `{"revision":2}`)
	wantHeader(t, f.want(201, "", "PUT", "/v1/kv/k", "v", "Idempotency-Key: later"), map[string]string{"Idempotent-Replay": ""})
}
