package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// What the flags of this file's neighbours take, refuse and warn of.
func TestRecoveryFlags(t *testing.T) {
	for _, tt := range []struct {
		args []string
		says string // in the refusal; "": none
		warn string // in the warnings; "": none
	}{
		{args: nil},
		{args: []string{"--disk-reserve-bytes", "0"}},
		{args: []string{"--disk-reserve-bytes", "128MiB"}, warn: "--disk-reserve-bytes"},
		{args: []string{"--disk-reserve-bytes", "129MiB"}},
		{args: []string{"--read-only-option", "lease-based"}, warn: "stale reads"},
		{args: []string{"--read-only-option", "fast"}, says: "--read-only-option"},
		{args: []string{"--verify-interval", "1s"}},
		{args: []string{"--verify-interval", "1h"}},
		{args: []string{"--verify-interval", "999ms"}, says: "--verify-interval"},
		{args: []string{"--verify-interval", "61m"}, says: "--verify-interval"},
		{args: []string{"--snapshot-send-bytes-per-second", "1MiB"}},
	} {
		cfg := defaultConfig()
		fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
		registerFlags(fs, &cfg)
		if err := fs.Parse(tt.args); err != nil {
			t.Errorf("%v: %v", tt.args, err)
			continue
		}
		err := readConfig(fs, &cfg)
		if (err != nil) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%v: %v, want %q", tt.args, err, tt.says)
		}
		if w := strings.Join(cfg.warnings(), "\n"); (w != "") != (tt.warn != "") || !strings.Contains(w, tt.warn) {
			t.Errorf("%v: warnings %q, want %q", tt.args, w, tt.warn)
		}
	}
}
