package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// options are the flags of run.
type options struct {
	Kvd      string        `json:"kvd"`
	Dir      string        `json:"-"`
	Run      string        `json:"run"`
	Systems  []string      `json:"systems"`
	Full     bool          `json:"full"`
	Rounds   int           `json:"rounds"`
	WarmUp   time.Duration `json:"warm_up_ns"`
	Duration time.Duration `json:"duration_ns"` // of one way in one round
	Members  int           `json:"members"`     // where a scenario says nothing else
	Keys     int           `json:"keys"`
	Seed     uint64        `json:"seed"`
	JSON     string        `json:"-"`

	pattern *regexp.Regexp
}

const runLong = `Measure, and print a table in Markdown with the ratios.

Each scenario takes several rounds; in each, every way of driving every system
has its turn, on new connections, while the processes of the other systems are
stopped. A ratio is the median of the rounds' ratios.

Data is written below --dir. What is measured depends on the disk that is there:
a file system in memory makes writes look fast.`

func newRunCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:     "run",
		Short:   "Measure, and print a table",
		Long:    runLong,
		Example: "  bench run --kvd bin/kvd --run '^put/' --json bin/bench.json",
		Args: func(cmd *cobra.Command, args []string) error { // what is wrong with flags is told as what is wrong with arguments
			return errors.Join(cobra.NoArgs(cmd, args), o.validate())
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := o.run(cmd.Context(), newProgressLine(cmd.ErrOrStderr()))
			if r != nil && o.JSON != "" {
				err = errors.Join(err, r.save(o.JSON))
			}
			if r != nil {
				writeTable(cmd.OutOrStdout(), r)
			}
			return err
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&o.Kvd, "kvd", "bin/kvd", "the binary of kvd")
	fs.StringVar(&o.Dir, "dir", "", "directory for the data of all members; a temporary one is made in it and removed (default the system's for temporary files)")
	fs.StringVar(&o.Run, "run", ".", "a regular expression: only scenarios whose name it matches; \"bench list\" names them")
	fs.StringSliceVar(&o.Systems, "systems", []string{systemKvd, systemEtcd, systemBare}, "what to measure; with one system alone there is no ratio")
	fs.BoolVar(&o.Full, "full", false, "all scenarios, not only those of the short run")
	fs.IntVar(&o.Rounds, "rounds", 3, "how often each way has its turn")
	fs.DurationVar(&o.WarmUp, "warm-up", 300*time.Millisecond, "time of each turn that does not count")
	fs.DurationVar(&o.Duration, "duration", time.Second, "time of each turn that counts")
	fs.IntVar(&o.Members, "members", usual().Members, "members of a cluster, where a scenario names no number of its own")
	fs.IntVar(&o.Keys, "keys", usual().Keys, "keys, where a scenario names no number of its own")
	fs.Uint64Var(&o.Seed, "seed", 1, "of the choice of keys")
	fs.StringVar(&o.JSON, "json", "", "write the report to this file")
	return cmd
}

func (o *options) validate() error {
	var errs []error
	var err error
	if o.pattern, err = regexp.Compile(o.Run); err != nil {
		errs = append(errs, fmt.Errorf("--run: %w", err))
	} else if len(pick(scenarios(), o.pattern, o.Full))+len(pickStates(states(), o.pattern, o.Full)) == 0 {
		errs = append(errs, fmt.Errorf("--run %q: no such scenario; \"bench list\" names them, --full adds those of the long run", o.Run))
	}
	known := []string{systemKvd, systemEtcd, systemBare}
	for _, s := range o.Systems {
		if !slices.Contains(known, s) {
			errs = append(errs, fmt.Errorf("--systems: no system %q, only %v", s, known))
		}
	}
	if len(o.Systems) == 0 {
		errs = append(errs, errors.New("--systems: none"))
	}
	if _, err := os.Stat(o.Kvd); err != nil && slices.Contains(o.Systems, systemKvd) {
		errs = append(errs, fmt.Errorf("--kvd: %w; \"make build\" makes it", err))
	}
	if o.Rounds < 1 || o.WarmUp < 0 || o.Duration <= 0 {
		errs = append(errs, fmt.Errorf("%d rounds of %v after %v: there must be some, and of some length", o.Rounds, o.Duration, o.WarmUp))
	}
	if o.Members < 1 || o.Members > 9 || o.Keys < pageSize {
		errs = append(errs, fmt.Errorf("%d members with %d keys: 1 to 9, and %d or more", o.Members, o.Keys, pageSize))
	}
	return errors.Join(errs...)
}

// adapt puts the options' numbers in place of the usual ones.
func (o *options) adapt(sh shape) shape {
	u := usual()
	if sh.members == u.Members {
		sh.members = o.Members
	}
	if sh.keys == u.Keys {
		sh.keys = o.Keys
	}
	return sh
}

// run measures what the options ask for. With an error it returns what there is
// by then, or nil.
func (o *options) run(ctx context.Context, line *progressLine) (*report, error) {
	dir, err := os.MkdirTemp(o.Dir, "kvd-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	v, err := theVersions(o.Kvd)
	if err != nil {
		return nil, err
	}
	rep := &report{
		Schema: schema, Invocation: rand.Text(), Began: time.Now().UTC(),
		Machine: thisMachine(), Commit: commit(), Versions: v, Options: *o,
	}
	r := newRunner(*o, dir, line, rep)
	defer r.close()
	list := pick(scenarios(), o.pattern, o.Full)
	still := pickStates(states(), o.pattern, o.Full)
	line.of = len(list) + len(still)
	for _, s := range list {
		sh := o.adapt(s.shape())
		s.Members, s.Keys = sh.members, sh.keys
		if err = r.run(ctx, s); err != nil {
			break
		}
		line.done++
	}
	for _, s := range still {
		if err != nil {
			break
		}
		s.shape = o.adapt(s.shape)
		err = r.measureState(ctx, s)
		line.done++
	}
	rep.Seconds = time.Since(rep.Began).Seconds()
	line.clear()
	return rep, err
}

func newListCommand() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Name the scenarios of the short run, or all",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, s := range pick(scenarios(), regexp.MustCompile("."), full) {
				fmt.Fprintln(cmd.OutOrStdout(), s.name())
			}
			for _, s := range pickStates(states(), regexp.MustCompile("."), full) {
				fmt.Fprintln(cmd.OutOrStdout(), s.name)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "all scenarios")
	return cmd
}
