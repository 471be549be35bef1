package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const benchLong = `Load a cluster for a while and say how fast it answers.

Each client sends one request after the other, over a connection of its own, and
waits for each answer: a closed loop. Clients are spread over the endpoints. What
it prints is what this machine saw; a client that shares its cores with the
members measures both.

The keys are its own, below kvd-bench/ and a random name. They are written before
the loop begins and deleted when it has ended, also after Ctrl-C.

Exit codes: 0 all requests succeeded, 1 some failed, or the cluster could not be
reached, 2 bad flags.`

// The operations of kvd bench.
const (
	benchPut   = "put"
	benchGet   = "get"
	benchMixed = "mixed"
	benchTxn   = "txn"
	benchList  = "list"
)

var benchOps = []string{benchPut, benchGet, benchMixed, benchTxn, benchList}

// benchConfig is what "kvd bench" was asked to do.
type benchConfig struct {
	Endpoints   []string // client URLs of members
	Clients     uint64
	WarmUp      time.Duration // does not count
	Duration    time.Duration
	Op          string
	ReadPercent uint64 // of mixed
	Keys        uint64
	ValueBytes  uint64
	Consistency string
	Keep        bool // do not delete the keys
	JSON        bool
	Seed        uint64

	// Set by resolve.
	hosts []string // Endpoints, as host:port
}

func newBenchCommand() *cobra.Command {
	c := benchConfig{
		Endpoints: []string{"http://" + defaultListenClient}, Clients: 64, WarmUp: time.Second, Duration: 10 * time.Second, Op: benchMixed,
		ReadPercent: 90, Keys: 100_000, ValueBytes: 128, Consistency: consistencyLinearizable, Seed: 1,
	}
	cmd := &cobra.Command{
		Use:     "bench",
		Short:   "Load a cluster and say how fast it answers",
		Long:    benchLong,
		Example: "  kvd bench\n  kvd bench --op put --clients 256 --endpoints http://10.0.0.1:12380,http://10.0.0.2:12380,http://10.0.0.3:12380",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.resolve(cmd.Flags().Changed("read-percent"), cmd.Flags().Changed("consistency")); err != nil {
				return err
			}
			return bench(cmd.Context(), &c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.Var(&flagValue[[]string]{&c.Endpoints, "urls", parseList, func(l []string) string { return strings.Join(l, ",") }}, "endpoints",
		"client URLs of members, separated by commas; clients are spread over them")
	fs.Var(integer(&c.Clients), "clients", "how many clients send at a time")
	fs.Var(duration(&c.Duration), "duration", "how long the loop counts")
	fs.Var(duration(&c.WarmUp), "warm-up", "how long it runs before")
	fs.StringVar(&c.Op, "op", c.Op, "what clients do: put, get, mixed (gets and puts), txn (compare, put and get), list (a page of 100 keys)")
	fs.Var(integer(&c.ReadPercent), "read-percent", "how many of a hundred operations of mixed are gets")
	fs.Var(integer(&c.Keys), "keys", "how many keys there are; each is as likely as any other")
	fs.Var(byteSize(&c.ValueBytes), "value-bytes", "size of the values")
	fs.StringVar(&c.Consistency, "consistency", c.Consistency, "of gets: linearizable or stale")
	fs.Var(integer(&c.Seed), "seed", "of the choice of keys")
	fs.BoolVar(&c.Keep, "keep", false, "do not delete the keys at the end")
	fs.BoolVar(&c.JSON, "json", false, "print one JSON object")
	return cmd
}

// Values of --consistency.
const (
	consistencyLinearizable = "linearizable"
	consistencyStale        = "stale"
)

// The most that makes sense, for figures that are more likely a mistake.
const (
	maxBenchClients = 20_000
	maxBenchKeys    = 100_000_000
)

// resolve checks the flags, all of them, and sends nothing.
func (c *benchConfig) resolve(givenPercent, givenConsistency bool) error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Endpoints) == 0 {
		refuse("--endpoints: names no member; use one such as http://%s", defaultListenClient)
	}
	c.hosts = nil
	for _, e := range c.Endpoints {
		host, err := benchHost(e)
		if err != nil {
			refuse("--endpoints: %q %w", e, err)
		}
		c.hosts = append(c.hosts, host)
	}
	if c.Clients < 1 || c.Clients > maxBenchClients {
		refuse("--clients: %d is not within 1 to %d", c.Clients, maxBenchClients)
	}
	if c.Duration <= 0 || c.WarmUp < 0 {
		refuse("--duration %v, --warm-up %v: the loop must have a length", c.Duration, c.WarmUp)
	}
	if !slices.Contains(benchOps, c.Op) {
		refuse("--op: %q is no operation; use one of %s", c.Op, strings.Join(benchOps, ", "))
	}
	if c.ReadPercent > 100 {
		refuse("--read-percent: %d is more than 100", c.ReadPercent)
	}
	if givenPercent && c.Op != benchMixed {
		refuse("--read-percent: --op %s is one kind alone; use --op mixed", c.Op)
	}
	if c.Keys < 1 || c.Keys > maxBenchKeys {
		refuse("--keys: %d is not within 1 to %d", c.Keys, maxBenchKeys)
	}
	if c.ValueBytes > maxMaxValueBytes {
		refuse("--value-bytes: %d is more than any member takes, %s", c.ValueBytes, formatBytes(maxMaxValueBytes))
	}
	if c.Consistency != consistencyLinearizable && c.Consistency != consistencyStale {
		refuse("--consistency: %q is none; use %s or %s", c.Consistency, consistencyLinearizable, consistencyStale)
	}
	if givenConsistency && c.Op != benchGet && c.Op != benchMixed {
		refuse("--consistency: is for gets, and --op %s does none", c.Op)
	}
	if len(errs) > 0 {
		return usageError("%w", errors.Join(errs...))
	}
	return nil
}

// benchHost is the host and port of a member's URL.
func benchHost(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "":
		return "", fmt.Errorf("is not a URL such as http://%s", defaultListenClient)
	case u.Scheme != "http":
		return "", errors.New("does not begin with http://, and this loop speaks nothing else")
	case u.Port() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", errors.New("must be scheme, host and port, and no more")
	}
	return u.Host, nil
}

// bench fills, measures, prints and tidies up, whatever happens in between.
func bench(ctx context.Context, c *benchConfig, stdout, stderr io.Writer) error {
	l, err := newBenchLoad(c)
	if err != nil {
		return exitWith(exitFatal, "%w", err)
	}
	defer l.close()
	live := newLiveLine(stderr)
	res, err := l.run(ctx, live)
	live.clear()
	var complaint error
	switch {
	case err != nil && !errors.Is(err, errSignal):
		complaint = err
	case res == nil || res.Operations()+res.Failed == 0:
		complaint = errors.New("stopped before anything was measured")
	default:
		doc := newBenchDocument(c, res)
		if c.JSON {
			complaint = writeJSON(stdout, doc)
		} else {
			complaint = printBench(stdout, doc)
		}
		if res.Failed > 0 {
			complaint = errors.Join(complaint, errors.New(res.Complaint()))
		}
	}
	if tidyErr := l.tidy(ctx, live); tidyErr != nil {
		complaint = errors.Join(complaint, tidyErr)
	}
	live.clear()
	if complaint != nil {
		return exitWith(exitFatal, "%w", complaint)
	}
	return nil
}
