package main

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Mutant is one bug, and the tests that should notice it.
type Mutant struct {
	Name   string
	Breaks string // what goes wrong, in a sentence
	Edits  []Edit
	Checks []Check // the cheapest first
}

// Edit replaces Old, which must occur exactly once in File, by New.
type Edit struct {
	File     string // from the root of the module
	Old, New string
}

// Layer is a way to test; see the package's doc.
type Layer string

const (
	Unit       Layer = "unit"
	Scripted   Layer = "scripted"
	Simulation Layer = "simulation"
	Binary     Layer = "binary"
)

var layers = []Layer{Unit, Scripted, Simulation, Binary}

const (
	clusters = "internal/clustertest"
	binaries = "test"
	// simulationTest takes -seeds and -seed.
	simulationTest = "TestSimulation"
)

// Check is a command that should fail: some tests of one package.
type Check struct {
	Layer   Layer
	Package string // its directory, from the root of the module
	Tests   string // names, separated by spaces
}

func unit(pkg, tests string) Check { return Check{Unit, "internal/" + pkg, tests} }
func scripted(tests string) Check  { return Check{Scripted, clusters, tests} }
func simulation() Check            { return Check{Simulation, clusters, simulationTest} }
func binary(tests string) Check    { return Check{Binary, binaries, tests} }

// pattern is what -test.run takes.
func (c Check) pattern() string {
	return "^(" + strings.Join(strings.Fields(c.Tests), "|") + ")$"
}

func (c Check) String() string { return path.Base(c.Package) + ": " + c.Tests }

// validate says what is wrong with a catalog.
func validate(all []Mutant) error {
	var errs []error
	seen := make(map[string]bool)
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	for _, m := range all {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("%s: %s", m.Name, fmt.Sprintf(format, args...)))
		}
		if !name.MatchString(m.Name) || seen[m.Name] {
			bad("the name is taken, or none")
		}
		seen[m.Name] = true
		if len(m.Breaks) < 20 || strings.HasSuffix(m.Breaks, ".") {
			bad("%q is no description", m.Breaks)
		}
		if len(m.Edits) == 0 || len(m.Checks) == 0 {
			bad("it has %d edits and %d checks", len(m.Edits), len(m.Checks))
		}
		for i, c := range m.Checks {
			if !slices.Contains(layers, c.Layer) || len(strings.Fields(c.Tests)) == 0 {
				bad("check %v", c)
			}
			if i > 0 && slices.Index(layers, m.Checks[i-1].Layer) >= slices.Index(layers, c.Layer) {
				bad("%s stands behind %s", c.Layer, m.Checks[i-1].Layer)
			}
		}
	}
	return errors.Join(errs...)
}
