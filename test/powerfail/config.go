package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// config is a command line.
type config struct {
	kvd      string   // the binary
	fs       []string // file systems
	forms    []form
	cycles   int    // of each file system
	epoch    int    // cycles before a cluster is founded anew
	parallel int    // clusters at a time
	heavy    bool   // all clusters get large values, not one in three
	seed     uint64 // 0: drawn
	json     string // file for the report; "": none
	keep     string // directory for what a failure leaves; "": none
}

// form is who loses power.
type form string

const (
	formOne   form = "one"
	formThird form = "third"
	formAll   form = "all"
)

// members is the size of the form's cluster.
func (f form) members() int {
	if f == formOne {
		return 1
	}
	return 3
}

// shares are how many of four cycles go to each form: the cluster of one is the
// quickest, and has nobody to hide behind.
var shares = []struct {
	form  form
	share int
}{{formOne, 2}, {formThird, 1}, {formAll, 1}}

func parseFlags(args []string, stderr io.Writer) (config, error) {
	var c config
	var fs, forms string
	f := flag.NewFlagSet("powerfail", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&c.kvd, "kvd", "bin/kvd", "binary to try")
	f.StringVar(&fs, "fs", "ext4,xfs", "file systems")
	f.StringVar(&forms, "forms", "one,third,all", "who loses power: a cluster of one, one of three, all three")
	f.IntVar(&c.cycles, "cycles", 500, "power failures on each file system")
	f.IntVar(&c.epoch, "epoch", 25, "power failures before a cluster is founded anew")
	f.IntVar(&c.parallel, "parallel", max(3, runtime.NumCPU()), "clusters at a time")
	f.BoolVar(&c.heavy, "heavy", false, "large values for all clusters, not one in three: more depends on snapshots")
	f.Uint64Var(&c.seed, "seed", 0, "what is tried (default random, printed)")
	f.StringVar(&c.json, "json", "", "file for the report as JSON")
	f.StringVar(&c.keep, "keep", "", "directory for the data directories and logs of clusters that lost something")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	err := c.complete(strings.Split(fs, ","), strings.Split(forms, ","))
	if f.NArg() > 0 {
		err = errors.Join(err, fmt.Errorf("unexpected argument %q", f.Arg(0)))
	}
	if err != nil {
		fmt.Fprintln(stderr, "powerfail:", err)
	}
	return c, err
}

func (c *config) complete(fs, forms []string) error {
	var errs []error
	for _, name := range fs {
		if mkfs[name] == nil {
			errs = append(errs, fmt.Errorf("no file system %q: ext4 and xfs are known", name))
		}
		c.fs = append(c.fs, name)
	}
	for _, name := range forms {
		if !slices.Contains([]form{formOne, formThird, formAll}, form(name)) {
			errs = append(errs, fmt.Errorf("no form %q: one, third and all are known", name))
		}
		c.forms = append(c.forms, form(name))
	}
	if c.cycles < 1 || c.epoch < 1 || c.parallel < 1 {
		errs = append(errs, errors.New("cycles, epoch and parallel are 1 or more"))
	}
	if c.seed == 0 {
		c.seed = rand.Uint64N(1 << 32)
	}
	var err error
	if c.kvd, err = filepath.Abs(c.kvd); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// mkfs are the commands that make a file system, but for its file.
var mkfs = map[string][]string{
	"ext4": {"mkfs.ext4", "-q", "-F", "-E", "nodiscard"},
	"xfs":  {"mkfs.xfs", "-q", "-f", "-K"},
}

// debian is where Debian has them.
var debian = map[string]string{"ext4": "e2fsprogs", "xfs": "xfsprogs"}

// job is one cluster from its founding on.
type job struct {
	fs     string
	form   form
	cycles int
	seed   uint64
}

// jobs divides the cycles into clusters, those that take longest first.
func (c *config) jobs() []job {
	var out []job
	total := 0
	for _, s := range shares {
		if slices.Contains(c.forms, s.form) {
			total += s.share
		}
	}
	for _, fs := range c.fs {
		left, of := c.cycles, total
		for _, s := range shares {
			if !slices.Contains(c.forms, s.form) {
				continue
			}
			n := left * s.share / of
			left, of = left-n, of-s.share
			for ; n > 0; n -= c.epoch {
				out = append(out, job{fs: fs, form: s.form, cycles: min(n, c.epoch), seed: c.seed + uint64(len(out))})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b job) int { return b.cost() - a.cost() })
	return out
}

func (j job) cost() int { return j.cycles * j.form.members() }
