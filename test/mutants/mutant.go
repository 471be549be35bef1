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
	Power      Layer = "power"
	Chaos      Layer = "chaos"
)

// layers are all, the cheapest first.
var layers = []Layer{Unit, Scripted, Simulation, Binary, Power, Chaos}

// isProgram tells whether a program of this module tries kvd, and not go tests.
func (l Layer) isProgram() bool { return l == Power || l == Chaos }

// behind tells whether l is dearer than another layer.
func (l Layer) behind(o Layer) bool { return slices.Index(layers, l) > slices.Index(layers, o) }

const (
	clusters = "internal/clustertest"
	binaries = "test"
	// simulationTest takes -seeds and -seed.
	simulationTest = "TestSimulation"
)

// Check is a command that should fail: some tests of one package, or a program.
type Check struct {
	Layer   Layer  `json:"layer"`
	Package string `json:"package"` // its directory, from the root of the module
	Tests   string `json:"tests"`   // their names, separated by spaces, or flags of the program, by commas and spaces
}

func unit(pkg, tests string) Check { return Check{Unit, "internal/" + pkg, tests} }
func scripted(tests string) Check  { return Check{Scripted, clusters, tests} }
func simulation() Check            { return Check{Simulation, clusters, simulationTest} }
func binary(tests string) Check    { return Check{Binary, binaries, tests} }
func power(flags ...string) Check  { return Check{Power, "test/powerfail", strings.Join(flags, ", ")} }
func chaos(flags ...string) Check  { return Check{Chaos, "test/chaos", strings.Join(flags, ", ")} }

// pattern is what -test.run takes.
func (c Check) pattern() string {
	return "^(" + strings.Join(strings.Fields(c.Tests), "|") + ")$"
}

func (c Check) String() string { return path.Base(c.Package) + ": " + c.Tests }

// diskFiles are the storage of a real member. The simulation has one of its own, and
// is not tried on mutants of these alone.
var diskFiles = []string{"bodyfile", "directory", "disk", "diskfile", "disklog", "newdir", "watermark", "writeout_linux"}

// tried are the checks of a mutant, and the simulation where it can show something.
func (m Mutant) tried() []Check {
	onDisk := !slices.ContainsFunc(m.Edits, func(e Edit) bool {
		return path.Dir(e.File) != "internal/raftnode" || !slices.Contains(diskFiles, strings.TrimSuffix(path.Base(e.File), ".go"))
	})
	if onDisk || slices.Contains(m.Checks, simulation()) {
		return m.Checks
	}
	i := slices.IndexFunc(m.Checks, func(c Check) bool { return c.Layer.behind(Simulation) })
	if i < 0 {
		i = len(m.Checks)
	}
	return slices.Insert(slices.Clone(m.Checks), i, simulation())
}

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
			if i > 0 && !c.Layer.behind(m.Checks[i-1].Layer) {
				bad("%s stands behind %s", c.Layer, m.Checks[i-1].Layer)
			}
		}
	}
	return errors.Join(errs...)
}
