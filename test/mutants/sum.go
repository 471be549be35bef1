package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// sum puts together what several runs have saved: of each mutant, and each layer,
// what the last of them says. It has the mutants of the catalog, in their order.
func sum(files []string) (*report, error) {
	all := &report{}
	trials := make(map[string]map[Layer]trial)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var r report
		if err := json.Unmarshal(b, &r); err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		if all.Runs == 0 {
			all.Runs, all.Seeds = r.Runs, r.Seeds
		}
		if r.Runs != all.Runs || r.Seeds != all.Seeds {
			return nil, fmt.Errorf("%s is of %d runs and %d seeds, others of %d and %d", file, r.Runs, r.Seeds, all.Runs, all.Seeds)
		}
		for _, f := range r.Mutants {
			if trials[f.Mutant] == nil {
				trials[f.Mutant] = make(map[Layer]trial)
			}
			for _, tr := range f.Trials {
				trials[f.Mutant][tr.Layer] = tr
			}
		}
	}
	for _, m := range catalog() {
		f := finding{Mutant: m.Name, Breaks: m.Breaks}
		for _, c := range m.tried() {
			// What another form of the check has found does not count.
			if tr, ok := trials[m.Name][c.Layer]; ok && tr.Check == c {
				tr.Expected = slices.Contains(m.Checks, c)
				f.Trials = append(f.Trials, tr)
			}
		}
		f.By = f.caughtBy(all.Runs)
		all.Mutants = append(all.Mutants, f)
	}
	return all, nil
}
