package httpapi

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"kvd/internal/kvstore"
)

// TestKeysOnTheWire sends paths as they are. What net/http or a mux could clean
// must come back from exactly the key that the bytes say.
func TestKeysOnTheWire(t *testing.T) {
	f := newFixture(t)
	addr := f.serve(ServerConfig{})
	tests := []struct{ path, key string }{
		{"a", "a"},
		{"a//b", "a//b"},
		{"/", "/"},
		{"//", "//"},
		{"a/", "a/"},
		{"../x", "../x"},
		{"..", ".."},
		{".", "."},
		{"./a/../b", "./a/../b"},
		{"%2e%2e/x%2F", "../x/"}, // the same bytes as ../x/ and another key than ../x
		{"%2F", "/"},
		{"%2f%2F", "//"},
		{"a%3Fb", "a?b"},
		{"a%23b", "a#b"},
		{"a#b", "a#b"}, // nobody sends a fragment; if one does, it is bytes
		{"%00", "\x00"},
		{"%0d%0a", "\r\n"},
		{"%FF%fe", "\xff\xfe"},
		{"a+b", "a+b"},
		{"a%2Bb", "a+b"},
		{"%2525", "%25"}, // decoded once
		{"a;b=c", "a;b=c"},
		{"a=b&c", "a=b&c"},
		{"http://x/y", "http://x/y"},
		{"%22\"", "\"\""},
		{"caf\xc3\xa9", "café"},
		{"v1/kv/a", "v1/kv/a"},
		{strings.Repeat("k", 4096), strings.Repeat("k", 4096)},
		{strings.Repeat("%00", 4096), strings.Repeat("\x00", 4096)},
	}
	c := dial(t, addr)
	for _, tt := range tests {
		value := tt.path[:min(len(tt.path), 50)]
		c.send("PUT /v1/kv/" + tt.path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(len(value)) + "\r\n\r\n" + value)
		if resp := c.receive("PUT"); resp.StatusCode != 201 && resp.StatusCode != 204 {
			t.Errorf("PUT %q: status %d, Location %q: %s", tt.path, resp.StatusCode, resp.Header.Get("Location"), readAll(t, resp))
			continue
		}
		if item, ok := f.machine.Get([]byte(tt.key)); !ok || string(item.Value) != value {
			t.Errorf("PUT %q did not write the key %q", tt.path, tt.key)
		}
		c.send("GET /v1/kv/" + tt.path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if resp := c.receive("GET"); resp.StatusCode != 200 || readAll(t, resp) != value {
			t.Errorf("GET %q: status %d", tt.path, resp.StatusCode)
		}
		c.send("DELETE /v1/kv/" + tt.path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if resp := c.receive("DELETE"); resp.StatusCode != 204 || resp.Header.Get("Kvd-Deleted") != "1" {
			t.Errorf("DELETE %q: status %d", tt.path, resp.StatusCode)
		}
	}
	if n := f.machine.Len(); n != 0 {
		t.Errorf("%d keys left: one request wrote or deleted another key", n)
	}
}

func TestBadKeysOnTheWire(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Compat = true })
	addr := f.serve(ServerConfig{})
	for _, tt := range []struct {
		target, code string
		status       int
	}{
		{"/v1/kv/", "bad_key", 400},
		{"/v1/kv/?prev=true", "bad_key", 400},
		{"/v1/kv/" + strings.Repeat("k", 4097), "key_too_long", 414},
		{"/v1/kv/" + strings.Repeat("%41", 4097), "key_too_long", 414},
		{"/v1/kv/%zz", "", 400}, // net/http's own answer
		{"/v1/kv/a%", "", 400},
		{"/v1/kv", "method_not_allowed", 405},
		{"/v1%2Fkv/a", "not_found", 404},
		{"/%761/kv/a", "not_found", 404},
		{"/v1/../v1/kv/a", "not_found", 404},
		{"//v1/kv/a", "", 204}, // the key "/v1/kv/a", at the root
	} {
		c := dial(t, addr)
		c.send("PUT " + tt.target + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nv")
		resp := c.receive("PUT")
		if tt.code == "" {
			if resp.StatusCode != tt.status {
				t.Errorf("%.40s: status %d, want %d", tt.target, resp.StatusCode, tt.status)
			}
			continue
		}
		checkProblem(t, resp, tt.status, tt.code, notApplied)
	}
	if item, ok := f.machine.Get([]byte("/v1/kv/a")); !ok || f.machine.Len() != 1 {
		t.Errorf("got %d keys, item %+v", f.machine.Len(), item)
	}
}

// FuzzKeyFromURL: for every path that net/url takes, the key is what follows
// the prefix in the escaped path, decoded once; and every key has a path.
func FuzzKeyFromURL(f *testing.F) {
	for _, s := range []string{"a", "a//b", "../x", "%2e%2e", "%2F", "a%3Fb", "%00", "a/", "", "+", "%25", "%zz", "#", "a?b", "\xff", "%22\"", "%c3%a9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := url.ParseRequestURI(kvPrefix + s); err == nil {
			raw, query, _ := strings.Cut(s, "?")
			want, err := url.PathUnescape(raw)
			if err != nil {
				t.Fatalf("net/url took %q: %v", s, err)
			}
			checkKey(t, u, want)
			if u.RawQuery != query {
				t.Fatalf("%q: query %q", s, u.RawQuery)
			}
			// The contract's words, through the method that they name.
			if escaped, ok := strings.CutPrefix(u.EscapedPath(), kvPrefix); !ok {
				t.Fatalf("%q: escaped path %q", s, u.EscapedPath())
			} else if again, err := url.PathUnescape(escaped); err != nil || again != want {
				t.Fatalf("%q: %q, %v; want %q", s, again, err, want)
			}
		}
		u, err := url.ParseRequestURI(kvPrefix + url.PathEscape(s))
		if err != nil {
			t.Fatalf("key %q has no path: %v", s, err)
		}
		checkKey(t, u, s)
	})
}

func checkKey(t *testing.T, u *url.URL, want string) {
	t.Helper()
	got, err := keyFromURL(u, kvPrefix)
	switch {
	case want == "":
		if !errors.Is(err, errBadKey) {
			t.Fatalf("empty key: %q, %v", got, err)
		}
	case len(want) > kvstore.MaxKeyBytes:
		if !errors.Is(err, errKeyTooLong) {
			t.Fatalf("long key: %v", err)
		}
	case err != nil || got != want:
		t.Fatalf("%v: got %q, %v; want %q", u, got, err, want)
	}
}
