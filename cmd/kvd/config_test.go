package main

import (
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// configOf reads a command line as serve does.
func configOf(t *testing.T, args ...string) *config {
	t.Helper()
	cfg := defaultConfig()
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	registerFlags(fs, &cfg)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := readConfig(fs, &cfg); err != nil {
		t.Fatal(err)
	}
	return &cfg
}

func TestDefaults(t *testing.T) {
	cfg := configOf(t)
	cfg.settle(&net.TCPAddr{Port: 12380}, &net.TCPAddr{Port: 12379})
	want := defaultConfig()
	want.ListenPeer = "127.0.0.1:12379"
	want.AdvertiseClient, want.AdvertisePeer = "http://127.0.0.1:12380", "http://127.0.0.1:12379"
	want.given, want.fromEnv = map[string]bool{}, map[string]bool{}
	if !reflect.DeepEqual(*cfg, want) {
		t.Errorf("config = %+v\nwant     %+v", *cfg, want)
	}
	if got := cfg.memberName(7); got != "n7" {
		t.Errorf("name = %q, want n7", got)
	}
	if got := cfg.electionTimeout(); got != time.Second {
		t.Errorf("election timeout = %v, want 1s", got)
	}
	if cfg.claimsID() || cfg.warnings() != nil {
		t.Errorf("claims id %v, warnings %q; want neither", cfg.claimsID(), cfg.warnings())
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("KVD_ID", "4")
	t.Setenv("KVD_TICK", "50ms")
	t.Setenv("KVD_SNAPSHOT_BYTES", "1GiB")
	t.Setenv("KVD_INSECURE", "true")
	t.Setenv("KVD_NAME", "") // as good as not set
	t.Setenv("KVD_ALLOWED_HOSTS", "a.example, b.example")
	cfg := configOf(t, "--tick", "200ms")
	if cfg.ID != 4 || !cfg.claimsID() || cfg.flag("id") != "KVD_ID (--id)" {
		t.Errorf("id = %d, claimed %v, as %s", cfg.ID, cfg.claimsID(), cfg.flag("id"))
	}
	if cfg.Tick != 200*time.Millisecond || cfg.flag("tick") != "--tick" {
		t.Errorf("tick = %v by %s, want the flag's 200ms", cfg.Tick, cfg.flag("tick"))
	}
	if cfg.SnapshotBytes != 1<<30 || !cfg.Insecure || cfg.given["name"] {
		t.Errorf("config = %+v", cfg)
	}
	if want := []string{"a.example", "b.example"}; !reflect.DeepEqual(cfg.AllowedHosts, want) {
		t.Errorf("allowed hosts = %q, want %q", cfg.AllowedHosts, want)
	}
}

func TestStrayVariables(t *testing.T) {
	t.Setenv("KVD_DATA_DIR", t.TempDir())
	t.Setenv("KVD_DATADIR", "x")
	t.Setenv("KVD_ADDRESS", "y")
	cfg := defaultConfig()
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	registerFlags(fs, &cfg)
	got := map[string]bool{}
	for _, v := range strayVariables(fs) {
		got[v] = true
	}
	if !got["KVD_DATADIR"] || !got["KVD_ADDRESS"] || got["KVD_DATA_DIR"] {
		t.Errorf("stray variables = %v", got)
	}
}

func TestClusterDecidesAddresses(t *testing.T) {
	const urls = "http://127.0.0.1:12379,http://LOCALHOST:22379/,http://127.0.0.1:32379"
	tests := []struct {
		name              string
		args              []string
		listen, advertise string
	}{
		{"by position", []string{"--id", "1", "--cluster", urls}, "127.0.0.1:12379", "http://127.0.0.1:12379"},
		{"by name", []string{"--id", "2", "--cluster", urls}, "localhost:22379", "http://localhost:22379"},
		{"by id", []string{"--id", "7", "--cluster", "9=http://127.0.0.1:1,7=http://127.0.0.1:2"}, "127.0.0.1:2", "http://127.0.0.1:2"},
		{"listening elsewhere", []string{"--id", "3", "--cluster", urls, "--listen-peer", "127.0.0.1:5"}, "127.0.0.1:5", "http://127.0.0.1:32379"},
		{"the same in other letters", []string{"--id", "2", "--cluster", urls, "--advertise-peer", "http://LocalHost:22379"}, "localhost:22379", "http://localhost:22379"},
		{"port to be chosen", []string{"--listen-peer", "127.0.0.1:0"}, "127.0.0.1:0", "http://127.0.0.1:99"},
		{"advertised by hand", []string{"--insecure", "--listen-peer", "0.0.0.0:12379", "--advertise-peer", "http://db1.example:12379"}, "0.0.0.0:12379", "http://db1.example:12379"},
		{"IPv6", []string{"--listen-peer", "[::1]:0"}, "[::1]:0", "http://[::1]:99"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := configOf(t, tt.args...)
			cfg.settle(&net.TCPAddr{Port: 98}, &net.TCPAddr{Port: 99})
			if cfg.ListenPeer != tt.listen || cfg.AdvertisePeer != tt.advertise {
				t.Errorf("listen %s, advertise %s; want %s and %s", cfg.ListenPeer, cfg.AdvertisePeer, tt.listen, tt.advertise)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	cfg := configOf(t, "--insecure", "--cluster", "http://127.0.0.1:12379,http://127.0.0.1:22379")
	if got := cfg.warnings(); len(got) != 2 {
		t.Errorf("warnings = %q, want one for the even number and one for --insecure", got)
	}
}

func TestParseCluster(t *testing.T) {
	want := []founder{{1, "http://a:1"}, {2, "http://b:2"}, {3, "http://[::1]:3"}}
	for _, s := range []string{
		"http://a:1,http://b:2,http://[::1]:3",
		"3=http://[::1]:3, 1=http://a:1/ ,2 = http://B:2",
	} {
		got, err := parseCluster(s)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("parseCluster(%q) = %v, %v; want %v", s, got, err, want)
		}
	}
}

func TestBytes(t *testing.T) {
	tests := []struct {
		in, out string
		n       uint64
	}{
		{"0", "0", 0}, {"1", "1", 1}, {"1023B", "1023", 1023}, {"1KiB", "1KiB", 1 << 10},
		{"1000 kB", "1000000", 1e6}, {"64MiB", "64MiB", 64 << 20}, {"1GB", "1000000000", 1e9},
		{"1024MiB", "1GiB", 1 << 30}, {" 3 MiB ", "3MiB", 3 << 20}, {"8589934591GiB", "8589934591GiB", 8589934591 << 30},
	}
	for _, tt := range tests {
		n, err := parseBytes(tt.in)
		if err != nil || n != tt.n || formatBytes(n) != tt.out {
			t.Errorf("parseBytes(%q) = %d (%s), %v; want %d (%s)", tt.in, n, formatBytes(n), err, tt.n, tt.out)
		}
	}
	for _, s := range []string{"", "MiB", "-1", "1.5MiB", "1M", "1 mib", "0x10", "8589934592GiB", "18446744073709551616"} {
		if n, err := parseBytes(s); err == nil {
			t.Errorf("parseBytes(%q) = %d, want an error", s, n)
		}
	}
}

func FuzzParseCluster(f *testing.F) {
	f.Add("http://127.0.0.1:12379,http://127.0.0.1:22379")
	f.Add("1=http://a:1,2=http://B:2/")
	f.Add("1=1=http://a:1")
	f.Add("http://[::1%25eth0]:1, ,=")
	f.Fuzz(func(t *testing.T, s string) {
		founders, err := parseCluster(s)
		if err != nil {
			return
		}
		// What was accepted has one spelling, and is accepted again in it.
		var entries []string
		for _, m := range founders {
			entries = append(entries, fmt.Sprintf("%d=%s", m.ID, m.PeerURL))
		}
		again, err := parseCluster(strings.Join(entries, ","))
		if err != nil || !reflect.DeepEqual(again, founders) {
			t.Errorf("parseCluster(%q) = %v; written out: %v, %v", s, founders, again, err)
		}
	})
}

func FuzzParseBytes(f *testing.F) {
	f.Add("64MiB")
	f.Add("9007199254740993kB")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseBytes(s)
		if err != nil {
			return
		}
		if again, err := parseBytes(formatBytes(n)); err != nil || again != n {
			t.Errorf("parseBytes(%q) = %d, shown as %s, read as %d, %v", s, n, formatBytes(n), again, err)
		}
	})
}
