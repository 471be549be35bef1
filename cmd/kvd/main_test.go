package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asKVD makes this test binary kvd itself, for as long as somebody holds the
// other end of its standard input.
const asKVD = "TEST_AS_KVD"

func TestMain(m *testing.M) {
	if os.Getenv(asKVD) != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(exitFatal)
		}()
		main()
	}
	goleak.VerifyTestMain(m)
}

// result is how one command line ended.
type result struct {
	code           int
	stdout, stderr string
}

func runCommand(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// wantOneLine fails unless stderr is one line that holds all of parts.
func (r result) wantOneLine(t *testing.T, parts ...string) {
	t.Helper()
	if n := strings.Count(r.stderr, "\n"); n != 1 || !strings.HasPrefix(r.stderr, "kvd: ") {
		t.Errorf("stderr = %q, want one line", r.stderr)
	}
	for _, p := range parts {
		if !strings.Contains(r.stderr, p) {
			t.Errorf("stderr = %q, want it to hold %q", r.stderr, p)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		args []string
		want []string // in the one line
	}{
		{"no command", nil, nil, []string{"kvd serve", "kvd --help"}},
		{"unknown command", nil, []string{"server"}, []string{`"server"`, "kvd --help"}},
		{"unknown root flag", nil, []string{"--id", "1"}, []string{"--id", "unknown flag"}},
		{"argument of version", nil, []string{"version", "x"}, []string{`"x"`}},
		{"argument of serve", nil, []string{"serve", "x"}, []string{`"x"`, "flags only"}},

		{"unknown flag", nil, []string{"serve", "--port", "1"}, []string{"--port", "unknown flag", "kvd serve --help"}},
		{"unknown shorthand", nil, []string{"serve", "-p"}, []string{"-p", "unknown flag"}},
		{"missing value", nil, []string{"serve", "--id"}, []string{"--id", "needs a value"}},
		{"bad number", nil, []string{"serve", "--id", "-1"}, []string{"--id", `"-1"`, "whole number"}},
		{"huge number", nil, []string{"serve", "--id", "18446744073709551616"}, []string{"--id", "too large"}},
		{"bad duration", nil, []string{"serve", "--tick", "100"}, []string{"--tick", `"100"`, "100ms"}},
		{"bad size", nil, []string{"serve", "--snapshot-bytes", "64M"}, []string{"--snapshot-bytes", "64MiB"}},
		{"huge size", nil, []string{"serve", "--snapshot-bytes", "99999999999GiB"}, []string{"--snapshot-bytes", "too large"}},
		{"bad switch", nil, []string{"serve", "--insecure=perhaps"}, []string{"--insecure", "true or false"}},
		{"bad variable", map[string]string{"KVD_TICK": "fast"}, []string{"serve"}, []string{"KVD_TICK (--tick)", `"fast"`}},
		{"invalid variable", map[string]string{"KVD_ELECTION_TICKS": "2"}, []string{"serve"}, []string{"KVD_ELECTION_TICKS (--election-ticks)"}},

		{"id 0", nil, []string{"serve", "--id", "0"}, []string{"--id", "use 1 or more"}},
		{"name with a space", nil, []string{"serve", "--name", "a b"}, []string{"--name"}},
		{"long name", nil, []string{"serve", "--name", strings.Repeat("n", 65)}, []string{"--name", "64"}},
		{"tick 0", nil, []string{"serve", "--tick", "0s"}, []string{"--tick", "1ms to 1m"}},
		{"election of two heartbeats", nil, []string{"serve", "--election-ticks", "2"}, []string{"--election-ticks", "more than 2"}},
		{"no snapshot entries", nil, []string{"serve", "--snapshot-entries", "0"}, []string{"--snapshot-entries"}},
		{"no snapshot bytes", nil, []string{"serve", "--snapshot-bytes", "0B"}, []string{"--snapshot-bytes"}},
		{"values too large", nil, []string{"serve", "--max-value-bytes", "16777217"}, []string{"--max-value-bytes", "16MiB"}},
		{"values of nothing", nil, []string{"serve", "--max-value-bytes", "0"}, []string{"--max-value-bytes"}},
		{"log level", nil, []string{"serve", "--log-level", "loud"}, []string{"--log-level", "debug, info, warn or error"}},
		{"log format", nil, []string{"serve", "--log-format", "xml"}, []string{"--log-format", "console or json"}},
		{"compat", nil, []string{"serve", "--compat", "etcd"}, []string{"--compat", "raftexample"}},
		{"all faults at once", nil, []string{"serve", "--tick", "0s", "--id", "0", "--compat", "x"}, []string{"--tick", "--id", "--compat"}},

		{"listen without port", nil, []string{"serve", "--listen-client", "127.0.0.1"}, []string{"--listen-client", "host:port"}},
		{"listen with a bad port", nil, []string{"serve", "--listen-peer", "127.0.0.1:http"}, []string{"--listen-peer", "65535"}},
		{"both on one address", nil, []string{"serve", "--listen-peer", "127.0.0.1:12380"}, []string{"--listen-peer", "--listen-client"}},
		{"routable client address", nil, []string{"serve", "--listen-client", "0.0.0.0:12380"}, []string{"--listen-client", "127.0.0.1:12380", "--insecure", "TLS"}},
		{"every address", nil, []string{"serve", "--listen-client", ":12380"}, []string{"--listen-client", "--insecure"}},
		{"routable peer address", nil, []string{"serve", "--listen-peer", "192.0.2.1:12379"}, []string{"--listen-peer", "127.0.0.1:12379", "--insecure"}},
		{"routable peer address by name", nil, []string{"serve", "--listen-peer", "db.example:12379"}, []string{"--listen-peer", "--insecure"}},
		{"nothing to advertise", nil, []string{"serve", "--insecure", "--listen-client", "0.0.0.0:12380"}, []string{"--advertise-client", "give the URL"}},
		{"advertise with TLS", nil, []string{"serve", "--advertise-peer", "https://127.0.0.1:1"}, []string{"--advertise-peer", "TLS"}},
		{"advertise without port", nil, []string{"serve", "--advertise-client", "http://127.0.0.1"}, []string{"--advertise-client", "host and a port"}},
		{"advertise a zone", nil, []string{"serve", "--advertise-client", "http://[fe80::1%25eth0]:1"}, []string{"--advertise-client", "host and a port"}},
		{"advertise a path", nil, []string{"serve", "--advertise-client", "http://127.0.0.1:1/v1"}, []string{"--advertise-client", "http://host:port"}},
		{"advertise every address", nil, []string{"serve", "--advertise-client", "http://0.0.0.0:1"}, []string{"--advertise-client", "others can reach"}},

		{"cluster of nothing", nil, []string{"serve", "--cluster", "one,two"}, []string{"--cluster", `"one"`, `"two"`}},
		{"cluster with id 0", nil, []string{"serve", "--cluster", "0=http://127.0.0.1:1"}, []string{"--cluster", `"0=http://127.0.0.1:1"`}},
		{"cluster half with ids", nil, []string{"serve", "--cluster", "1=http://127.0.0.1:1,http://127.0.0.1:2"}, []string{"--cluster", "id=URL"}},
		{"cluster with an id twice", nil, []string{"serve", "--cluster", "1=http://127.0.0.1:1,1=http://127.0.0.1:2"}, []string{"--cluster", "id 1 twice"}},
		{"cluster with a URL twice", nil, []string{"serve", "--cluster", "http://127.0.0.1:1,http://127.0.0.1:1"}, []string{"--cluster", "member 1 and 2"}},
		{"cluster of ten", nil, []string{"serve", "--cluster", tenURLs()}, []string{"--cluster", "10 members", "at most 9"}},
		{"not in the cluster", nil, []string{"serve", "--id", "4", "--cluster", "http://127.0.0.1:1,http://127.0.0.1:2"}, []string{"--id", "4 is not in --cluster", "1, 2"}},
		{"another address than in the cluster", nil,
			[]string{"serve", "--id", "2", "--cluster", "http://127.0.0.1:1,http://127.0.0.1:2", "--advertise-peer", "http://127.0.0.1:3"},
			[]string{"--advertise-peer", "http://127.0.0.1:3", "http://127.0.0.1:2"}},
		{"routable address by the cluster", nil, []string{"serve", "--cluster", "http://192.0.2.1:12379"}, []string{"--listen-peer", "192.0.2.1:12379", "--insecure"}},
		{"found and join", nil, []string{"serve", "--cluster", "http://127.0.0.1:12379", "--join", "http://127.0.0.1:1"}, []string{"--join", "--cluster"}},
		{"join no URL", nil, []string{"serve", "--join", "127.0.0.1:12380"}, []string{"--join", "http://host:port"}},
		{"join itself", nil, []string{"serve", "--join", "http://127.0.0.1:12380", "--advertise-client", "http://127.0.0.1:12380"}, []string{"--join", "itself"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			t.Setenv("KVD_DATA_DIR", dir)
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			r := runCommand(t.Context(), tt.args...)
			if r.code != exitUsage {
				t.Errorf("exit code = %d, want %d", r.code, exitUsage)
			}
			r.wantOneLine(t, tt.want...)
			if r.stdout != "" {
				t.Errorf("stdout = %q, want none", r.stdout)
			}
			wantAbsent(t, dir)
		})
	}
}

func tenURLs() string {
	var urls []string
	for p := range 10 {
		urls = append(urls, "http://127.0.0.1:"+string(rune('0'+p))+"1")
	}
	return strings.Join(urls, ",")
}

func wantAbsent(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("stat %s: %v, want it absent", dir, err)
	}
}

func TestAddressInUse(t *testing.T) {
	for _, flag := range []string{"--listen-client", "--listen-peer"} {
		t.Run(flag, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			dir := filepath.Join(t.TempDir(), "data")
			args := []string{"serve", "--data-dir", dir, "--listen-client", "127.0.0.1:0", "--listen-peer", "127.0.0.1:0"}
			r := runCommand(t.Context(), append(args, flag, l.Addr().String())...)
			if r.code != exitBind {
				t.Errorf("exit code = %d, want %d", r.code, exitBind)
			}
			r.wantOneLine(t, flag, "address in use", l.Addr().String())
			wantAbsent(t, dir)
		})
	}
}

func TestVersion(t *testing.T) {
	r := runCommand(t.Context(), "version")
	if r.code != exitOK || r.stderr != "" || !strings.HasPrefix(r.stdout, "kvd dev (") {
		t.Errorf("kvd version = %+v", r)
	}
}

func TestHelp(t *testing.T) {
	r := runCommand(t.Context(), "serve", "--help")
	if r.code != exitOK || r.stderr != "" {
		t.Fatalf("exit code = %d, stderr = %q", r.code, r.stderr)
	}
	for _, want := range []string{"--max-value-bytes", "KVD_DATA_DIR", "Exit codes", "64MiB", "100ms"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("help lacks %q", want)
		}
	}
}

// blockedWriter is a pipe whose reader has stopped.
type blockedWriter struct{ release chan struct{} }

func (w blockedWriter) Write(p []byte) (int, error) {
	<-w.release
	return len(p), nil
}

func TestLastWordsDoNotWaitForever(t *testing.T) {
	w := blockedWriter{make(chan struct{})}
	defer close(w.release)
	done := make(chan int)
	go func() { done <- run(context.Background(), []string{"serve", "--nonsense"}, w, w) }()
	select {
	case code := <-done:
		if code != exitUsage {
			t.Errorf("exit code = %d, want %d", code, exitUsage)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("run waits for a reader of stderr")
	}
}
