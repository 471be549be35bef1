package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const envPrefix = "KVD_"

// registerFlags ties the fields of c to flags; their values are the defaults.
func registerFlags(fs *pflag.FlagSet, c *config) {
	fs.SortFlags = false
	fs.Var(integer(&c.ID), "id", "member id, unique and never used again in a cluster; with --join it may be left to the cluster")
	fs.StringVar(&c.Name, "name", c.Name, "name of this member, for humans (default n<id>)")
	fs.StringVar(&c.DataDir, "data-dir", c.DataDir, "directory of this member's log and snapshots; made if missing")
	fs.StringVar(&c.Cluster, "cluster", c.Cluster, "founding members: 1=http://host:port,2=… by peer URL, or the URLs alone, where the position is the id")
	fs.StringVar(&c.Join, "join", c.Join, "join the running cluster of which this is any member's client URL")
	fs.StringVar(&c.ListenClient, "listen-client", c.ListenClient, "host:port for the API")
	fs.StringVar(&c.AdvertiseClient, "advertise-client", c.AdvertiseClient, "URL at which others reach the API (default http://<listen-client>)")
	fs.StringVar(&c.ListenPeer, "listen-peer", c.ListenPeer, "host:port for other members (default "+defaultListenPeer+", or as --cluster names this member)")
	fs.StringVar(&c.AdvertisePeer, "advertise-peer", c.AdvertisePeer, "URL at which other members reach this one (default as in --cluster, or http://<listen-peer>)")
	fs.Var(duration(&c.Tick), "tick", "raft's unit of time; a heartbeat is sent each tick")
	fs.Var(integer(&c.ElectionTicks), "election-ticks", "ticks without a heartbeat before an election; more than 2")
	fs.StringVar(&c.ReadOnlyOption, "read-only-option", c.ReadOnlyOption, "safe: the leader asks a majority before it answers reads; lease-based: it does not, and serves stale reads while it is cut off")
	fs.Var(integer(&c.SnapshotEntries), "snapshot-entries", "log entries after which a snapshot is taken")
	fs.Var(byteSize(&c.SnapshotBytes), "snapshot-bytes", "log bytes after which a snapshot is taken")
	fs.Var(byteSize(&c.SnapshotSendRate), "snapshot-send-bytes-per-second", "pace at which a snapshot is sent to another member; 0 for no limit")
	fs.Var(duration(&c.VerifyInterval), "verify-interval", "time between two comparisons of the states of all members, 1s to 1h")
	fs.Var(integer(&c.HistoryRevisions), "history-revisions", "revisions back to which a read may go")
	fs.Var(duration(&c.HistoryAge), "history-age", "time back to which a read may go, by the log's clock")
	fs.Var(byteSize(&c.HistoryBytes), "history-bytes", "bytes of history kept in memory; the oldest goes first")
	fs.Var(byteSize(&c.QuotaBytes), "quota-bytes", "bytes that keys, values and history may take in memory before writes are refused; 0 for no limit")
	fs.Var(byteSize(&c.DiskReserveBytes), "disk-reserve-bytes", "free space on any member's disk below which writes are refused; more than two segments of the log, which are allocated 64MiB at a time, so that these still fit; 0 to write until the disk is full")
	fs.Var(byteSize(&c.MaxValueBytes), "max-value-bytes", "largest value accepted, at most "+formatBytes(maxMaxValueBytes))
	fs.StringVar(&c.LogLevel, "log-level", c.LogLevel, "debug, info, warn or error")
	fs.StringVar(&c.LogFormat, "log-format", c.LogFormat, "console or json")
	fs.StringVar(&c.Compat, "compat", c.Compat, "also serve the routes of another program: raftexample")
	fs.BoolVar(&c.Insecure, "insecure", c.Insecure, "allow addresses that other machines reach, without TLS and authentication")
	fs.Var(list(&c.AllowedHosts), "allowed-hosts", "further names, separated by commas, by which clients may call this member")
}

// envName is the environment variable that stands for a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// applyEnvironment sets every flag that was not given on the command line from
// its variable; one that is set to nothing counts as not set. It returns the
// flags that were set so.
func applyEnvironment(fs *pflag.FlagSet) (map[string]bool, error) {
	from := map[string]bool{}
	var faults []error
	fs.VisitAll(func(f *pflag.Flag) {
		v := os.Getenv(envName(f.Name))
		if f.Changed || v == "" {
			return
		}
		if err := fs.Set(f.Name, v); err != nil {
			faults = append(faults, fmt.Errorf("%s (--%s): %w", envName(f.Name), f.Name, valueError(err, v)))
			return
		}
		from[f.Name] = true
	})
	if err := errors.Join(faults...); err != nil {
		return nil, usageError("%w", err)
	}
	return from, nil
}

// strayVariables returns the KVD_ variables of the environment that stand for
// no flag, sorted. They are reported and not refused: an image or a unit file
// may well be shared with another version, which knows more.
func strayVariables(fs *pflag.FlagSet) []string {
	known := map[string]bool{}
	fs.VisitAll(func(f *pflag.Flag) { known[envName(f.Name)] = true })
	var stray []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, envPrefix) && !known[name] {
			stray = append(stray, name)
		}
	}
	slices.Sort(stray)
	return stray
}

// flagError rewrites the parser's errors: the flag first, then what to do.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	help := fmt.Sprintf("\"%s --help\" lists the flags", cmd.CommandPath())
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := "--" + e.GetSpecifiedName()
		if short := e.GetSpecifiedShortnames(); short != "" {
			name = "-" + short
		}
		return usageError("%s: unknown flag; %s", name, help)
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return usageError("--%s: needs a value; %s", e.GetSpecifiedName(), help)
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return usageError("--%s: %w", e.GetFlag().Name, valueError(err, e.GetValue()))
	}
	return usageError("%w; %s", err, help)
}

// valueError says what is wrong with a flag's value.
func valueError(err error, value string) error {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		err = e.Unwrap()
		if e.GetFlag().Value.Type() == "bool" {
			err = errors.New("is not a switch; use true or false")
		}
	}
	return fmt.Errorf("%q %w", value, err)
}

// noArguments refuses words that are no flags, with the usual exit code.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError("unexpected argument %q; %q takes flags only", args[0], cmd.CommandPath())
	}
	return nil
}
