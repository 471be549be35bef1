package main

import (
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// FuzzServeFlags reads a command line and an environment, one word or variable a
// line: it ends in a usage error that fits into one line, or in a config that can
// be served and comes back when all of it is given as flags.
func FuzzServeFlags(f *testing.F) {
	f.Add("", "")
	f.Add("--id\n2\n--cluster=http://127.0.0.1:1,http://127.0.0.1:2", "KVD_TICK=50ms\nKVD_NAME=n")
	f.Add("--tick=0s\n--listen-client\n:1\n--nonsense", "KVD_ID=0")
	for _, kv := range os.Environ() { // nothing from outside
		if name, value, _ := strings.Cut(kv, "="); strings.HasPrefix(name, envPrefix) {
			os.Unsetenv(name)
			f.Cleanup(func() { os.Setenv(name, value) })
		}
	}
	f.Fuzz(func(t *testing.T, line, environment string) {
		var args []string
		if line != "" {
			args = strings.Split(line, "\n")
		}
		for kv := range strings.SplitSeq(environment, "\n") {
			name, value, _ := strings.Cut(kv, "=")
			if strings.HasPrefix(name, envPrefix) && !strings.Contains(kv, "\x00") {
				t.Setenv(name, value)
			}
		}
		cfg, err := readServe(args)
		if errors.Is(err, pflag.ErrHelp) {
			return
		}
		if err != nil {
			if exitCode(err) != exitUsage || strings.TrimSpace(err.Error()) == "" {
				t.Fatalf("%q: exit code %d, %q", args, exitCode(err), err)
			}
			return
		}
		checkServable(t, cfg)

		// The command line wins over the environment, so that this holds in the
		// environment as it is.
		var again []string
		flags(cfg).VisitAll(func(f *pflag.Flag) { again = append(again, "--"+f.Name+"="+f.Value.String()) })
		cfg2, err := readServe(again)
		if err != nil {
			t.Fatalf("%q was taken, %q is not: %v", args, again, err)
		}
		cfg.given, cfg.fromEnv, cfg2.given, cfg2.fromEnv = nil, nil, nil, nil
		if !reflect.DeepEqual(cfg, cfg2) {
			t.Fatalf("%q became\n%+v, and written out\n%+v", args, cfg, cfg2)
		}
	})
}

// readServe reads a command line as "kvd serve" does, and does not serve.
func readServe(args []string) (*config, error) {
	cfg, served := defaultConfig(), false
	root := newRootCommand()
	for _, c := range root.Commands() {
		if c.Name() != "serve" {
			continue
		}
		c.ResetFlags()
		registerFlags(c.Flags(), &cfg)
		c.RunE = func(cmd *cobra.Command, _ []string) error {
			served = true
			return readConfig(cmd.Flags(), &cfg)
		}
	}
	root.SetArgs(append([]string{"serve"}, args...))
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	err := root.Execute()
	if err == nil && !served {
		err = pflag.ErrHelp // which was asked for
	}
	return &cfg, err
}

// flags are those of "kvd serve" with the values of cfg.
func flags(cfg *config) *pflag.FlagSet {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	registerFlags(fs, cfg)
	return fs
}

// checkServable checks what the rest of the program relies on.
func checkServable(t *testing.T, c *config) {
	t.Helper()
	for _, address := range []string{c.ListenClient, c.ListenPeer} {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatalf("listens on %q: %v", address, err)
		}
		if ip := net.ParseIP(host); !c.Insecure && (host == "" || ip != nil && !ip.IsLoopback()) {
			t.Fatalf("listens on %q without --insecure", address)
		}
	}
	if c.ID == 0 || c.DataDir == "" || c.electionTimeout() <= 2*c.Tick || c.MaxValueBytes == 0 || c.MaxValueBytes > maxMaxValueBytes {
		t.Fatalf("taken: %+v", c)
	}
	if _, ok := findFounder(c.founders, c.ID); c.Cluster != "" && (!ok || c.Join != "" || len(c.founders) > maxFounders) {
		t.Fatalf("member %d of %q, joins %q", c.ID, c.Cluster, c.Join)
	}
}
