package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHosts(t *testing.T) {
	set := newHostSet([]string{"db.example:12380", "10.0.0.7", "[2001:db8::1]:12380", "2001:db8::2", "KVD.Internal", "0.0.0.0:12380", "[::]:1", "::", ""})
	for host, want := range map[string]bool{
		"localhost":                true,
		"localhost:12380":          true,
		"LocalHost.:1":             true,
		"127.0.0.1:12380":          true,
		"127.8.9.10":               true,
		"[::1]":                    true,
		"[::1]:80":                 true,
		"[0:0:0:0:0:0:0:1]":        true,
		"[::ffff:127.0.0.1]":       true,
		"db.example":               true,
		"DB.example.:9":            true,
		"kvd.internal":             true,
		"10.0.0.7:1":               true,
		"[2001:db8::1]":            true,
		"[2001:DB8:0::2]:5":        true,
		"":                         false,
		":12380":                   false,
		"evil.example":             false,
		"evil.example:12380":       false,
		"localhost.evil.example":   false,
		"localhost:80.evil":        false,
		"localhost@evil.example":   false,
		"evil.example#localhost":   false,
		"127.0.0.1.evil.example":   false,
		"0x7f.1":                   false,
		"10.0.0.8":                 false,
		"0.0.0.0":                  false,
		"[::]":                     false,
		"::1":                      false, // not how a Host writes it
		"[::1":                     false,
		"[::1]evil":                false,
		"[]":                       false,
		"xn--localhost-":           false,
		strings.Repeat("a", 10000): false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		if got := set.allows(r); got != want {
			t.Errorf("Host %.40q: got %v, want %v", host, got, want)
		}
	}
}

// TestForeignHost: on every route there is, and where there is none, before
// anything else is told.
func TestForeignHost(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Compat = true })
	for _, res := range append(routes, compatRoute, resource{path: "/v1/nowhere"}) {
		path := strings.NewReplacer("{key}", "k", "{id}", "3").Replace(res.path)
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"} {
			resp := f.do(method, path, "v", "Host: evil.example")
			if method == "HEAD" {
				if resp.StatusCode != 421 {
					t.Errorf("HEAD %s: %d", path, resp.StatusCode)
				}
				continue
			}
			checkProblem(t, resp, 421, "bad_host", refused(method))
		}
	}
	if n := f.log.proposals(); n != 0 {
		t.Errorf("%d proposals", n)
	}

	// Over a real connection: the address it was accepted on is ours, others
	// are not; and HTTP/1.0 may come without any.
	addr := f.serve(ServerConfig{})
	for request, status := range map[string]int{
		"GET /livez HTTP/1.1\r\nHost: " + addr + "\r\n\r\n":                        200,
		"GET /livez HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n":                           421,
		"GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\n\r\n":        421,
		"GET http://localhost/livez HTTP/1.1\r\nHost: evil.example\r\n\r\n":        200, // RFC 9112, section 3.2.2
		"GET /livez HTTP/1.0\r\n\r\n":                                              421,
		"OPTIONS * HTTP/1.1\r\nHost: evil.example\r\n\r\n":                         421,
		"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n":     400,
		"GET /livez HTTP/1.1\r\n\r\n":                                              400,
		"CONNECT evil.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n":              421,
		"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: evil\r\n\r\n": 200,
	} {
		c := dial(t, addr)
		c.send(request)
		if resp := c.receive("GET"); resp.StatusCode != status {
			t.Errorf("%q: got %d, want %d", request, resp.StatusCode, status)
		}
	}
}

func TestLocalAddressIsAllowed(t *testing.T) {
	f := newFixture(t)
	r := httptest.NewRequest("GET", "/livez", nil)
	r.Host = "192.0.2.77:12380"
	if f.h.hosts.allows(r) {
		t.Error("an address of nobody was allowed")
	}
	r = r.WithContext(withLocalAddr(r.Context(), "192.0.2.77"))
	if !f.h.hosts.allows(r) {
		t.Error("the address of the connection was not allowed")
	}
}

func TestCrossOrigin(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Compat = true })
	foreign := [][]string{
		{"Origin: http://evil.example"},
		{"Origin: null"},
		{"Origin: http://localhost:9999", "Host: localhost:12380"},
		{"Sec-Fetch-Site: cross-site"},
		{"Sec-Fetch-Site: same-site"},
	}
	writes := []struct{ method, path string }{
		{"PUT", "/v1/kv/k"}, {"DELETE", "/v1/kv/k"}, {"POST", "/v1/members"}, {"DELETE", "/v1/members/3"},
		{"PUT", "/k"}, {"POST", "/4"}, {"DELETE", "/3"},
	}
	for _, headers := range foreign {
		for _, w := range writes {
			f.wantProblem(403, "cross_origin", notApplied, w.method, w.path, "v", headers...)
		}
		f.wantProblem(404, "not_found", "", "GET", "/v1/kv/k", "", headers...)
	}
	if f.log.proposals() != 0 || f.cluster.added != nil || f.cluster.removed != nil {
		t.Error("a foreign page changed something")
	}
	f.want(201, "", "PUT", "/v1/kv/k", "v", "Origin: http://localhost:12380", "Host: localhost:12380")
	f.want(204, "", "PUT", "/v1/kv/k", "v", "Sec-Fetch-Site: same-origin", "Origin: http://example.com")
	resp := f.do("OPTIONS", "/v1/kv/k", "", "Origin: http://evil.example", "Access-Control-Request-Method: PUT")
	for name := range resp.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("a preflight is answered with %s", name)
		}
	}
	checkProblem(t, resp, http.StatusMethodNotAllowed, "method_not_allowed", "")
}
