package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kvd/test/chaos/fault"
	"kvd/test/chaos/report"
)

// options are the flags of a run.
type options struct {
	duration  time.Duration
	seed      uint64
	report    string
	members   int
	binary    string
	kinds     []string
	registers int
	others    int
	keep      bool
	want      *report.Wanted
}

// longest is how long a run may be.
const longest = 15 * time.Minute

func parseOptions(args []string, stderr io.Writer) (o options, err error) {
	fs := flag.NewFlagSet("chaos", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.DurationVar(&o.duration, "duration", 5*time.Minute, "how long there are load and faults; founding and checks come on top")
	fs.Uint64Var(&o.seed, "seed", 0, "which faults in which order, and what clients do; 0: random")
	fs.StringVar(&o.report, "report", "", "directory for the report, new or empty (required)")
	fs.IntVar(&o.members, "members", 5, "members of the cluster")
	fs.StringVar(&o.binary, "binary", "", "kvd to run; built from ./cmd/kvd when empty")
	kinds := fs.String("kinds", "", "only these kinds of fault, comma-separated")
	fs.IntVar(&o.registers, "registers", 5, "groups of four clients with one key at a time")
	fs.IntVar(&o.others, "others", 1, "groups of each other sort of client")
	fs.BoolVar(&o.keep, "keep", false, "keep the history, the logs of members and the dumps in the report's directory; kept anyway unless the run passes")
	o.want = wantedFlags(fs)
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if *kinds != "" {
		o.kinds = strings.Split(*kinds, ",")
		for _, name := range o.kinds {
			if !slices.ContainsFunc(fault.Kinds, func(k fault.Kind) bool { return k.Name == name }) {
				return o, fmt.Errorf("there is no kind of fault %q", name)
			}
		}
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1 << 32)
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("what is %q?", fs.Args())
	case o.report == "":
		return o, errors.New("-report is missing")
	case o.duration > longest:
		return o, fmt.Errorf("what is kept of the members' logs would fill their disks in %v; at most %v, and \"chaos sum\" adds several runs up", o.duration, longest)
	case o.members < 3:
		return o, errors.New("fewer than three members cannot lose one")
	}
	if o.report, err = filepath.Abs(o.report); err != nil {
		return o, err
	}
	if err := os.MkdirAll(o.report, 0o755); err != nil {
		return o, err
	}
	if files, err := os.ReadDir(o.report); err != nil || len(files) > 0 {
		return o, fmt.Errorf("the report's directory %s is not empty: %w", o.report, err)
	}
	return o, nil
}
