package main

import "slices"

// catalog lists all mutants.
func catalog() []Mutant {
	return slices.Concat(durability, snapshots, reads, writes, members, state, syncs)
}
