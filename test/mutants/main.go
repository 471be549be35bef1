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
	fs := flag.NewFlagSet("mutants", flag.ContinueOnError)
	fs.SetOutput(stderr)
	which := fs.String("run", "", "only mutants whose names match this regular expression")
	layer := fs.String("layer", "", "only these layers, separated by commas")
	list := fs.Bool("list", false, "list the mutants and run nothing")
	file := fs.String("json", "", "write the findings to this file, as JSON")
	var o options
	fs.BoolVar(&o.all, "all", false, "try the layers behind the one that caught a mutant too, once each")
	fs.IntVar(&o.runs, "runs", 3, "in how many runs, each with another seed, a layer must catch a mutant")
	fs.Uint64Var(&o.seed, "seed", 1, "the first seed")
	fs.Uint64Var(&o.seeds, "seeds", 100, "simulations tried before one counts as not caught")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	err := o.setLayers(*layer)
	if err == nil && (fs.NArg() > 0 || o.runs < 1 || o.seeds < 1) {
		err = errors.New("there is an argument too many, or nothing to run")
	}
	var mutants []Mutant
	if err == nil {
		mutants, err = choose(*which, o.layers)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	if *list {
		for _, m := range mutants {
			fmt.Fprintf(stdout, "%-28s %s\n", m.Name, m.Breaks)
		}
		return 0
	}
	found, err := huntAll(ctx, mutants, o, stderr)
	if err == nil && *file != "" {
		err = save(*file, found)
	}
	if err == nil {
		err = writeMarkdown(stdout, found, o)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 2
	}
	if slices.ContainsFunc(found, func(f *finding) bool { return f.by == nil }) {
		return 1
	}
	return 0
}

func (o *options) setLayers(list string) error {
	o.layers = layers
	if list == "" {
		return nil
	}
	o.layers = nil
	for name := range strings.SplitSeq(list, ",") {
		if !slices.Contains(layers, Layer(name)) {
			return fmt.Errorf("no layer %q: there are %v", name, layers)
		}
		o.layers = append(o.layers, Layer(name))
	}
	return nil
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

func huntAll(ctx context.Context, mutants []Mutant, o options, log io.Writer) ([]*finding, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "kvd-mutants-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // tests run the binary as other users too
		return nil, err
	}
	h := &hunter{w: &workshop{root: root, dir: dir, log: log}, o: o, good: make(map[string]bool)}
	if h.unchanged, err = h.w.newTree(nil); err != nil {
		return nil, err
	}
	var found []*finding
	for _, m := range mutants {
		f, err := h.hunt(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("mutant %s: %w", m.Name, err)
		}
		found = append(found, f)
	}
	return found, nil
}

func save(file string, found []*finding) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(writeJSON(f, found), f.Close())
}
