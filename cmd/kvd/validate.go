package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap/zapcore"

	"kvd/internal/replica"
)

// faults collects what is wrong with a config, flag by flag.
type faults struct {
	c    *config
	errs []error
}

func (f *faults) add(flag, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf(f.c.flag(flag)+": "+format, args...))
}

// url checks a URL that may be missing and returns it in its one spelling.
func (f *faults) url(flag, s string) string {
	if s == "" {
		return ""
	}
	u, err := parseURL(s)
	if err != nil {
		f.add(flag, "%q %w", s, err)
		return s
	}
	return u
}

// validate reports all faults at once, each with its flag and the way out. It
// looks at nothing outside c, and so writes nothing.
func (c *config) validate(clusterErr error) error {
	f := &faults{c: c}
	c.validateIdentity(f, clusterErr)
	c.validateAddresses(f)
	c.validateRaft(f)
	c.validateService(f)
	if len(f.errs) == 0 {
		return nil
	}
	return usageError("%w", errors.Join(f.errs...))
}

func (c *config) validateIdentity(f *faults, clusterErr error) {
	if c.ID == 0 {
		f.add("id", "0 stands for no member; use 1 or more")
	}
	if fault := nameFault(c.Name); fault != "" {
		f.add("name", "%q %s", c.Name, fault)
	}
	if c.DataDir == "" {
		f.add("data-dir", "is empty; name a directory such as ./data")
	}
	switch {
	case c.Cluster != "" && c.Join != "":
		f.add("join", "cannot be used together with --cluster; --cluster founds a cluster, --join enters one that runs")
	case clusterErr != nil:
		f.add("cluster", "%w", clusterErr)
	case c.Cluster != "" && c.ID != 0:
		c.validatePlace(f)
	}
}

// validatePlace checks this member's own line of the founding list.
func (c *config) validatePlace(f *faults) {
	own, ok := findFounder(c.founders, c.ID)
	if !ok {
		f.add("id", "%d is not in --cluster, which has %s; use one of these, or --join to enter a running cluster", c.ID, founderIDs(c.founders))
		return
	}
	if u, err := parseURL(c.AdvertisePeer); err == nil && u != own.PeerURL {
		f.add("advertise-peer", "%s is not the URL that --cluster has for member %d, %s; make them the same", u, c.ID, own.PeerURL)
	}
}

func founderIDs(founders []founder) string {
	ids := make([]string, len(founders))
	for i, m := range founders {
		ids[i] = strconv.FormatUint(m.ID, 10)
	}
	return strings.Join(ids, ", ")
}

// nameFault says what is wrong with a member's name; an empty one is replaced
// by the default.
func nameFault(name string) string {
	switch {
	case len(name) > 64:
		return "is longer than 64 bytes; use a shorter name"
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return "has spaces or unprintable characters; use letters, digits, - and _"
	}
	return ""
}

func (c *config) validateAddresses(f *faults) {
	c.validateListener(f, "listen-client", c.ListenClient, "advertise-client", c.AdvertiseClient)
	c.validateListener(f, "listen-peer", c.ListenPeer, "advertise-peer", c.AdvertisePeer)
	if c.ListenClient == c.ListenPeer && !strings.HasSuffix(c.ListenClient, ":0") {
		f.add("listen-peer", "%s is also --listen-client; use another port", c.ListenPeer)
	}
	c.AdvertiseClient = f.url("advertise-client", c.AdvertiseClient)
	c.AdvertisePeer = f.url("advertise-peer", c.AdvertisePeer)
	c.Join = f.url("join", c.Join)
	if c.Join != "" && c.Join == c.AdvertiseClient {
		f.add("join", "%s is this member itself; use the client URL of another", c.Join)
	}
}

func (c *config) validateListener(f *faults, flag, address, advertiseFlag, advertise string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		f.add(flag, "%q is not host:port; use one such as 127.0.0.1:12380", address)
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		f.add(flag, "%q has no port from 0 to 65535; use one such as 127.0.0.1:12380", address)
		return
	}
	if !isLoopback(host) && !c.Insecure {
		f.add(flag, "%s can be reached by other machines, without TLS and authentication; listen on a loopback address such as %s, or add --insecure where the network is trusted (TLS is not in this version)",
			address, net.JoinHostPort("127.0.0.1", port))
		return
	}
	if advertise == "" && namesNoHost(host) {
		f.add(advertiseFlag, "is needed because --%s %s stands for every address of this machine; give the URL that others use", flag, address)
	}
}

// isLoopback tells whether only this machine reaches host. A name other than
// localhost may resolve to anything, now or later, and counts as reachable.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func namesNoHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

func (c *config) validateRaft(f *faults) {
	if c.Tick < time.Millisecond || c.Tick > time.Minute {
		f.add("tick", "%v is out of range; use 1ms to 1m, better 50ms to 500ms", c.Tick)
	}
	if c.ElectionTicks <= 2*heartbeatTicks || c.ElectionTicks > 1000 {
		f.add("election-ticks", "%d is out of range; use more than %d (twice a heartbeat) and at most 1000, better 10", c.ElectionTicks, 2*heartbeatTicks)
	}
	if c.ReadOnlyOption != readSafe && c.ReadOnlyOption != readLeaseBased {
		f.add("read-only-option", "%q is not known; use %s, or %s where stale reads are acceptable", c.ReadOnlyOption, readSafe, readLeaseBased)
	}
	if c.VerifyInterval < time.Second || c.VerifyInterval > time.Hour {
		f.add("verify-interval", "%v is out of range; use 1s to 1h, better 30s", c.VerifyInterval)
	}
	if c.SnapshotEntries == 0 {
		f.add("snapshot-entries", "0 would keep no log; use 1 or more, better 100000")
	}
	if c.SnapshotBytes == 0 {
		f.add("snapshot-bytes", "0 would keep no log; use 1 or more, better 64MiB")
	}
	if c.HistoryRevisions == 0 {
		f.add("history-revisions", "0 would keep no history; use 1 or more, better 100000")
	}
	if c.HistoryAge < time.Second {
		f.add("history-age", "%v is too short; use 1s or more, better 1h", c.HistoryAge)
	}
	if c.HistoryBytes == 0 {
		f.add("history-bytes", "0 would keep no history; use 1 or more, better 64MiB")
	}
}

func (c *config) validateService(f *faults) {
	if c.QuotaBytes != 0 && c.QuotaBytes < minQuotaBytes {
		f.add("quota-bytes", "%s is too small; use %s or more, or 0 for no limit", formatBytes(c.QuotaBytes), formatBytes(minQuotaBytes))
	}
	if c.MaxValueBytes == 0 || c.MaxValueBytes > maxMaxValueBytes {
		f.add("max-value-bytes", "%s is out of range; use 1 to %s", formatBytes(c.MaxValueBytes), formatBytes(maxMaxValueBytes))
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		f.add("log-level", "%q is not a level; use debug, info, warn or error", c.LogLevel)
	}
	if !slices.Contains([]string{"console", "json"}, c.LogFormat) {
		f.add("log-format", "%q is not a format; use console or json", c.LogFormat)
	}
	if c.Compat != "" && c.Compat != "raftexample" {
		f.add("compat", "%q is not known; use raftexample, or leave it out", c.Compat)
	}
}

// level is LogLevel as zap knows it.
func (c *config) level() zapcore.Level {
	l, err := zapcore.ParseLevel(c.LogLevel)
	if err != nil { // validated
		return zapcore.InfoLevel
	}
	return l
}

// warnings are settings that work and that nobody should want.
func (c *config) warnings() []string {
	var w []string
	if n := len(c.founders); n > 0 && n%2 == 0 {
		w = append(w, fmt.Sprintf("%d founding members tolerate no more failures than %d would; an odd number is better", n, n-1))
	}
	if c.ReadOnlyOption == readLeaseBased {
		w = append(w, "--read-only-option lease-based: a leader that is cut off from the others serves stale reads until it notices")
	}
	if c.DiskReserveBytes > 0 && c.DiskReserveBytes <= 2*replica.WALSegmentBytes {
		w = append(w, fmt.Sprintf("--disk-reserve-bytes %s is not more than two segments of the log (%s): it may find the disk full, which ends this member",
			formatBytes(c.DiskReserveBytes), formatBytes(2*replica.WALSegmentBytes)))
	}
	if c.Insecure {
		w = append(w, "--insecure: anybody who reaches the listen addresses can read, write and reconfigure this cluster")
	}
	return w
}
