package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns 0 when every mutant was caught, 1 when one survived, 2 when it
// could not be found out.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command := hunt
	if len(args) > 0 && args[0] == "sum" {
		command, args = addUp, args[1:]
	}
	r, err := command(ctx, args, stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "mutants:", err)
		return 2
	case r == nil: // it was to list them
		return 0
	}
	fmt.Fprint(stdout, r.markdown())
	if len(r.survivors()) > 0 {
		return 1
	}
	return 0
}

// addUp is the command that puts the findings of several runs together.
func addUp(_ context.Context, args []string, _, stderr io.Writer) (*report, error) {
	fs := flag.NewFlagSet("mutants sum", flag.ContinueOnError)
	fs.SetOutput(stderr)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() == 0 {
		return nil, errors.New("sum what? name files that -json has written")
	}
	return sum(fs.Args())
}

// hunt is the command that tries mutants.
func hunt(ctx context.Context, args []string, stdout, stderr io.Writer) (*report, error) {
	fs := flag.NewFlagSet("mutants", flag.ContinueOnError)
	fs.SetOutput(stderr)
	which := fs.String("run", "", "only mutants whose names match this regular expression")
	layer := fs.String("layer", "", fmt.Sprintf("only these layers, separated by commas; none: those of %v that this machine can run", layers))
	list := fs.Bool("list", false, "list the mutants and run nothing")
	file := fs.String("json", "", "write the findings to this file, as JSON")
	var o options
	fs.BoolVar(&o.all, "all", false, "try the layers behind the one that caught a mutant too, once each")
	fs.IntVar(&o.runs, "runs", 3, "in how many runs, each with another seed, a layer must catch a mutant")
	fs.Uint64Var(&o.seed, "seed", 1, "the first seed")
	fs.Uint64Var(&o.seeds, "seeds", 100, "simulations tried before one counts as not caught")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 || o.runs < 1 || o.seeds < 1 {
		return nil, errors.New("there is an argument too many, or nothing to run")
	}
	lacking, err := o.setLayers(*layer)
	if err != nil {
		return nil, err
	}
	mutants, err := choose(*which, o.layers)
	if err != nil {
		return nil, err
	}
	if *list {
		for _, m := range mutants {
			fmt.Fprintf(stdout, "%-28s %s\n", m.Name, m.Breaks)
		}
		return nil, nil
	}
	for l, lacks := range lacking {
		fmt.Fprintf(stderr, "NOT RUN: the layer %s, which needs %s\n", l, lacks)
	}
	r := &report{Runs: o.runs, Seeds: o.seeds, Lacking: lacking}
	return r, huntAll(ctx, mutants, o, stderr, func(f finding) error {
		r.Mutants = append(r.Mutants, f)
		if *file == "" {
			return nil
		}
		return r.save(*file) // at once: the rest may take an hour, and be broken off
	})
}

// setLayers takes the layers of a list, all of which must be possible here, or those
// that are, and returns what the others lack.
func (o *options) setLayers(list string) (lacking map[Layer]string, err error) {
	lacking = make(map[Layer]string)
	for _, l := range layers {
		if lacks := l.lacks(); lacks != "" {
			lacking[l] = lacks
		} else if list == "" {
			o.layers = append(o.layers, l)
		}
	}
	if list == "" {
		return lacking, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		l := Layer(name)
		if !slices.Contains(layers, l) {
			return nil, fmt.Errorf("no layer %q: there are %v", name, layers)
		}
		if lacking[l] != "" {
			return nil, fmt.Errorf("the layer %s needs %s", l, lacking[l])
		}
		o.layers = append(o.layers, l)
	}
	return nil, nil
}

// choose returns the mutants whose names match, and which a layer of those that
// are run is to catch.
func choose(pattern string, layers []Layer) ([]Mutant, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	all := catalog()
	if err := validate(all); err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(m Mutant) bool {
		caught := slices.ContainsFunc(m.Checks, func(c Check) bool { return slices.Contains(layers, c.Layer) })
		return !caught || !re.MatchString(m.Name)
	})
	if len(all) == 0 {
		return nil, fmt.Errorf("no mutant of %v matches %q", layers, pattern)
	}
	return all, nil
}

// huntAll hunts one mutant after another, and hands on what it finds.
func huntAll(ctx context.Context, mutants []Mutant, o options, log io.Writer, each func(finding) error) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "kvd-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // tests run the binary as other users too
		return err
	}
	h := &hunter{w: &workshop{root: root, dir: dir, log: log}, o: o, good: make(map[string]bool)}
	if h.unchanged, err = h.w.newTree(nil); err != nil {
		return err
	}
	for _, m := range mutants {
		f, err := h.hunt(ctx, m)
		if err != nil {
			return fmt.Errorf("mutant %s: %w", m.Name, err)
		}
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}
