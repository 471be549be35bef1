package main

import (
	"fmt"
	"regexp"
	"slices"
)

// target is where clients connect.
type target string

const (
	atLeader target = "leader"
	atAll    target = "all"
)

// work is what the clients of a scenario do.
type work struct {
	Kind       string `json:"kind"`
	Clients    int    `json:"clients"`
	Target     target `json:"target"`
	Members    int    `json:"members"`
	Keys       int    `json:"keys"`
	ValueBytes int    `json:"value_bytes"`
	Watchers   int    `json:"watchers,omitempty"` // of one key with watch, else idle ones
}

// The kinds of work.
const (
	kindPut   = "put"
	kindGet   = "get"
	kindStale = "stale"
	kindMixed = "mixed" // nine reads to a write
	kindTxn   = "txn"
	kindList  = "list"
)

// name is that of the scenario: what differs from the usual is in it.
func (w work) name() string {
	s := fmt.Sprintf("%s/c%d/%s", w.Kind, w.Clients, w.Target)
	u := usual()
	if w.Members != u.Members {
		s += fmt.Sprintf("/members=%d", w.Members)
	}
	if w.Keys != u.Keys {
		s += fmt.Sprintf("/keys=%d", w.Keys)
	}
	if w.ValueBytes != u.ValueBytes {
		s += fmt.Sprintf("/value=%d", w.ValueBytes)
	}
	if w.Watchers != u.Watchers {
		s += fmt.Sprintf("/watchers=%d", w.Watchers)
	}
	return s
}

// usual is what most scenarios have in common.
func usual() work { return work{Members: 3, Keys: 100_000, ValueBytes: 128} }

// scenario is work that is given to several ways in turns.
type scenario struct {
	work
	ways  []string
	short bool // it is part of the short run
	goals []goal
}

// goal is what the first way of a ratio must reach in relation to the second.
type goal struct {
	Of      string  `json:"of"`
	To      string  `json:"to"`
	Least   float64 `json:"least,omitempty"`    // of the throughputs; 0: any
	P99Most float64 `json:"p99_most,omitempty"` // of the times that 99 of 100 operations take at most; 0: any
}

// scenarios are all there are, those of one shape together, so that a cluster is
// filled once.
func scenarios() []scenario {
	all := slices.Concat(puts(), gets(), mixtures(), txns(), watches(), listings(), sweeps())
	var shapes []shape
	for _, s := range all {
		if !slices.Contains(shapes, s.shape()) {
			shapes = append(shapes, s.shape())
		}
	}
	slices.SortStableFunc(all, func(a, b scenario) int {
		return slices.Index(shapes, a.shape()) - slices.Index(shapes, b.shape())
	})
	return all
}

// pick returns the scenarios whose names match, of the short run or of all.
func pick(all []scenario, pattern *regexp.Regexp, full bool) []scenario {
	return slices.DeleteFunc(slices.Clone(all), func(s scenario) bool {
		return !full && !s.short || !pattern.MatchString(s.name())
	})
}

// pickStates does the same with states.
func pickStates(all []state, pattern *regexp.Regexp, full bool) []state {
	return slices.DeleteFunc(slices.Clone(all), func(s state) bool {
		return !full && !s.short || !pattern.MatchString(s.name)
	})
}

// with returns the usual work of a kind.
func with(kind string, clients int, to target) work {
	w := usual()
	w.Kind, w.Clients, w.Target = kind, clients, to
	return w
}
