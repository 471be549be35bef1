package test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A value of any bytes comes back as it was, from the log and from a snapshot.
func TestValueBytes(t *testing.T) {
	t.Parallel()
	value := []byte{0xff, 0xfe, 0x00, 0x41}
	m := startCluster(t, 1, "--snapshot-entries", "10").members[0]

	r := m.call(http.MethodPut, "/v1/kv/bytes", value, "Content-Type", "image/x-odd; a=b")
	if err := r.want(http.StatusCreated); err != nil {
		t.Fatal(err)
	}
	etag := r.header.Get("ETag")
	check := func(when string) {
		t.Helper()
		r := m.call(http.MethodGet, "/v1/kv/bytes", nil)
		if r.status != http.StatusOK || !bytes.Equal(r.body, value) {
			t.Errorf("%s: got %d % x, want % x", when, r.status, r.body, value)
		}
		if got := r.header.Get("Content-Type"); got != "image/x-odd; a=b" {
			t.Errorf("%s: Content-Type: got %q", when, got)
		}
		if got := r.header.Get("ETag"); got != etag {
			t.Errorf("%s: ETag: got %s, want %s", when, got, etag)
		}
	}
	check("before a snapshot")

	written := m.mustStatus().AppliedIndex
	for i := range 40 {
		m.put(fmt.Sprintf("filler-%d", i), "x")
	}
	waitFor(t, 10*time.Second, "a snapshot that holds the value", func() error {
		s, err := m.status()
		if err == nil && s.SnapshotIndex < written {
			err = fmt.Errorf("snapshot at %d, the value at %d", s.SnapshotIndex, written)
		}
		return err
	})
	if code := m.term(); code != 0 {
		t.Fatalf("exit code %d after SIGTERM, want 0", code)
	}
	m.start()
	m.waitReady(15 * time.Second)
	check("after a snapshot and a restart")
	m.kill()
	m.start()
	m.waitReady(15 * time.Second)
	check("after kill -9")
}

// Keys are what stands in the path, percent-decoded once: none of these is
// cleaned, folded into another or redirected. The requests go over a bare
// connection, as no client would write them so.
func TestKeyBytes(t *testing.T) {
	t.Parallel()
	m := startCluster(t, 1).members[0]

	// Different keys, each with all its spellings.
	keys := [][]string{
		{"a//b", "a%2F%2Fb", "a/%2fb"},
		{"a/b", "a%2Fb", "%61/b"},
		{"a%252Fb"},
		{"../x", "%2e%2e/x", "..%2Fx"},
		{"x"},
		{"./x", "%2E/x"},
		{"%2F", "/"},
		{"%252F"},
		{"%2F%2F", "//"},
		{"a%3Fb"},
		{"a"},
		{"a/", "a%2F"},
		{"%00"},
		{"%ff%fe"},
		{"a+b", "a%2Bb"},
		{"a%20b"},
		{"..", "%2e%2e"},
	}
	for i, spellings := range keys {
		status, body := rawRequest(t, m.clientAddr(), "PUT", "/v1/kv/"+spellings[0], fmt.Sprintf("value %d", i))
		if status != http.StatusCreated {
			t.Errorf("PUT %s: got %d %s, want 201: it is a key of its own", spellings[0], status, body)
		}
	}
	read := func(when string) {
		t.Helper()
		for i, spellings := range keys {
			for _, key := range spellings {
				status, body := rawRequest(t, m.clientAddr(), "GET", "/v1/kv/"+key, "")
				if want := fmt.Sprintf("value %d", i); status != http.StatusOK || body != want {
					t.Errorf("%s: GET %s: got %d %q, want %q", when, key, status, body, want)
				}
			}
		}
	}
	read("as written")
	m.kill()
	m.start()
	m.waitReady(15 * time.Second)
	read("after a restart")

	if status, body := rawRequest(t, m.clientAddr(), "PUT", "/v1/kv/a?b", "x"); status != http.StatusBadRequest {
		t.Errorf("PUT a?b: got %d %s, want 400: the query is no part of the key, and b no parameter", status, body)
	}
}

// rawRequest sends one request whose target stands on the wire as given.
func rawRequest(t testing.TB, addr, method, target, body string) (status int, answer string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		method, target, addr, len(body), body); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return res.StatusCode, string(b)
}
