package transport

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// ask sends one request by hand and returns the answer.
func ask(t *testing.T, n *node, method, path string, header map[string]string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, n.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	if h := req.Header.Get("Host"); h != "" {
		req.Host = h
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp.StatusCode, ""
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestAdmission(t *testing.T) {
	n := startNode(t, 1, &recorder{removed: func(id uint64) bool { return id == 9 }}, nil)
	n.SetPeers(map[uint64]string{2: "http://127.0.0.1:1"})
	with := func(changes ...string) map[string]string {
		h := map[string]string{
			"Connection": "keep-alive, Upgrade", "Upgrade": upgradeToken,
			headerProtocol: protocolVersion, headerCluster: formatCluster(testCluster),
			headerFrom: "2", headerTo: "1", headerKind: kindControl,
		}
		for i := 0; i < len(changes); i += 2 {
			h[changes[i]] = changes[i+1]
		}
		return h
	}
	tests := []struct {
		name   string
		header map[string]string
		status int
		text   string
	}{
		// Each line is wrong in what it names and in all that is checked later.
		{"host", with("Host", "evil.example", headerProtocol, "2"), 421, "evil.example"},
		{"origin", with("Origin", "http://evil.example", headerProtocol, "2"), 403, "cross-origin"},
		{"no upgrade", with("Upgrade", "h2c", headerCluster, "x"), 426, upgradeToken},
		{"protocol", with(headerProtocol, "2", headerCluster, "x", headerTo, "7"), 426, `protocol version "2", this member speaks 1`},
		{"cluster", with(headerCluster, "0000000000000bad", headerTo, "7"), 412, textClusterMismatch},
		{"no cluster", with(headerCluster, "", headerTo, "7"), 412, textClusterMismatch},
		{"to", with(headerTo, "7", headerFrom, "9"), 403, `to member "7", this is 1`},
		{"to nonsense", with(headerTo, "one", headerFrom, "9"), 403, "to member"},
		{"removed", with(headerFrom, "9"), 410, "removed: member 9"},
		{"unknown", with(headerFrom, "3"), 403, "member 3 is not known here yet"},
		{"from itself", with(headerFrom, "1"), 403, "from member"},
		{"from a local target", with(headerFrom, "18446744073709551615"), 403, "from member"},
		{"from 0", with(headerFrom, "0"), 403, "from member"},
		{"from nonsense", with(headerFrom, "-1"), 403, "from member"},
		{"kind", with(headerKind, "bulk"), 400, "bulk"},
		{"nothing wrong", with(), 101, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, text := ask(t, n, http.MethodPost, pathStream, tt.header)
			if status != tt.status || !strings.Contains(text, tt.text) {
				t.Errorf("got %d %q, want %d and %q", status, text, tt.status, tt.text)
			}
			if lines := strings.Count(strings.TrimSpace(text), "\n"); lines > 0 {
				t.Errorf("answer of %d lines: %q", lines+1, text)
			}
		})
	}
	if status, _ := ask(t, n, http.MethodGet, pathStream, with()); status != http.StatusMethodNotAllowed {
		t.Errorf("GET of a stream: %d", status)
	}
}

func TestQuote(t *testing.T) {
	if got, want := quote("a\r\nb\"\xff"+strings.Repeat("c", 100)), `"a??b??`+strings.Repeat("c", 26)+`"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHandlerOutsideRun(t *testing.T) {
	tr, err := New(testConfig(t, 1, "http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		for method, path := range map[string]string{"POST": pathStream, "GET": pathMembers} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(method, "http://127.0.0.1"+path, nil)
			tr.Handler().ServeHTTP(w, r)
			if w.Code != http.StatusServiceUnavailable {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
	}
	check()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Run(ctx, new(recorder)); err != nil {
		t.Fatal(err)
	}
	check()
}

// TestRemovedMember: a 410 of a peer of the same cluster is told once.
func TestRemovedMember(t *testing.T) {
	n1 := startNode(t, 1, nil, nil)
	n2 := startNode(t, 2, &recorder{removed: func(id uint64) bool { return id == 1 }}, nil)
	n1.SetPeers(map[uint64]string{2: n2.url})
	waitFor(t, "the verdict", func() bool { return n1.rec.marked() == 1 })
	waitFor(t, "more refusals", func() bool { return n2.Stats().Refused > 6 })
	if got := n1.rec.marked(); got != 1 {
		t.Errorf("MarkRemoved was called %d times", got)
	}
}

// TestGoneFromAnyoneElse: a 410 that is not from the peer that was meant means
// nothing.
func TestGoneFromAnyoneElse(t *testing.T) {
	for name, header := range map[string]http.Header{
		"a web server":    {},
		"another cluster": {headerCluster: {formatCluster(7)}, headerFrom: {"2"}},
		"another member":  {headerCluster: {formatCluster(testCluster)}, headerFrom: {"3"}},
	} {
		asked := make(chan struct{}, 1000)
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for k, v := range header {
				w.Header()[k] = v
			}
			w.WriteHeader(http.StatusGone)
			select {
			case asked <- struct{}{}:
			default:
			}
		}))
		n1 := startNode(t, 1, nil, nil)
		n1.SetPeers(map[uint64]string{2: srv.URL})
		for range 4 {
			<-asked
		}
		if n1.rec.marked() != 0 {
			t.Errorf("%s could remove this member", name)
		}
		n1.stopRun()
		srv.Close()
	}
}

// TestOtherCluster: both sides say so, once, and go on trying slowly.
func TestOtherCluster(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	logged := func(c *Config) { c.Logger = zap.New(core) }
	n2 := startNode(t, 2, nil, func(c *Config) { logged(c); c.ClusterID = 7 })
	n1 := startNode(t, 1, nil, logged)
	n1.SetPeers(map[uint64]string{2: n2.url})
	waitFor(t, "several refusals", func() bool { return n2.Stats().Refused > 9 })
	for _, text := range []string{"peer belongs to another cluster", "refused a member of another cluster"} {
		if got := logs.FilterMessage(text).Len(); got != 1 {
			t.Errorf("%q was logged %d times", text, got)
		}
	}
	if n1.rec.marked() != 0 {
		t.Error("marked as removed")
	}
}

// TestHeadOfAnswerIsBounded: what answers a dial cannot make it read for ever.
func TestHeadOfAnswerIsBounded(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	done := make(chan error, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		ln.Close()
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\n")
		for err == nil {
			_, err = fmt.Fprintf(conn, "X-More: %s\r\n", strings.Repeat("x", 1000))
		}
		conn.Close()
		done <- nil
	}()
	n1 := startNode(t, 1, nil, nil)
	n1.SetPeers(map[uint64]string{2: "http://" + ln.Addr().String()})
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the dialer went on reading")
	}
}

// TestDataBeforeUpgrade is no way around the handshake.
func TestDataBeforeUpgrade(t *testing.T) {
	n1 := startNode(t, 1, nil, nil)
	n1.SetPeers(map[uint64]string{2: "http://127.0.0.1:1"})
	conn, err := net.Dial("tcp", n1.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s: 1\r\n%s: %s\r\n%s: 2\r\n%s: 1\r\n%s: append\r\n\r\nmore",
		pathStream, upgradeToken, headerProtocol, headerCluster, formatCluster(testCluster), headerFrom, headerTo, headerKind)
	if got, _ := io.ReadAll(conn); len(got) > 0 {
		t.Errorf("answer %q", got)
	}
	waitFor(t, "it to be counted", func() bool { return n1.Stats().Violations == 1 })
}

func TestConfig(t *testing.T) {
	good := testConfig(t, 1, "http://127.0.0.1:1")
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	bad := Config{MaxForwards: -1, MaxFrameBytes: 2 << 30, PeerURL: "ftp://x"}
	_, err := New(bad)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"member id 0", "cluster id", "no logger", "ftp://x", "MaxForwards", "MaxFrameBytes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among the faults: %v", want, err)
		}
	}
	for _, url := range []string{"", "127.0.0.1:1", "http://", "http://u:p@h:1", "http://h:1/?q", "https://h:1", "http://h:1\x00"} {
		if _, err := parsePeerURL(url); err == nil {
			t.Errorf("peer URL %q was accepted", url)
		}
	}
}

func TestBackoff(t *testing.T) {
	b := backoff{min: 50 * time.Millisecond, max: time.Second}
	for i := range 100 {
		limit := min(50*time.Millisecond<<min(i, 10), time.Second)
		if d := b.next(); d < limit/2 || d > limit {
			t.Errorf("pause %d: %v, want between %v and %v", i, d, limit/2, limit)
		}
	}
	b.reset()
	if d := b.next(); d > 50*time.Millisecond {
		t.Errorf("first pause after reset: %v", d)
	}
}

func TestThrottle(t *testing.T) {
	var th throttle
	if !th.allow("a", time.Hour) || th.allow("a", time.Hour) || !th.allow("b", time.Hour) || !th.allow("a", 0) {
		t.Error("keys are not counted apart")
	}
	for i := range 10 * maxThrottled {
		th.allow(fmt.Sprint(i), time.Hour)
	}
	if len(th.last) > maxThrottled {
		t.Errorf("%d keys kept", len(th.last))
	}
}
