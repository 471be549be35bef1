package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Verdicts.
const (
	verdictPassed  = "passed"
	verdictFailed  = "failed"
	verdictNoCount = "does not count"
)

// violation is what kvd did wrong, as opposed to what went wrong around it.
type violation struct{ text string }

func (v *violation) Error() string { return v.text }

// report is what a run has shown.
type report struct {
	Verdict    string   `json:"verdict"`
	Why        []string `json:"why,omitempty"` // it does not count
	Seed       uint64   `json:"seed"`
	Began      string   `json:"began"`
	Seconds    float64  `json:"seconds"`
	PerMinute  float64  `json:"cycles_per_minute"`
	Cycles     int      `json:"cycles"`
	Acks       int      `json:"acknowledgements_compared"`
	Lost       int      `json:"lost"`
	Starts     int64    `json:"starts"`
	Parts      []*part  `json:"parts"`
	Violations []string `json:"violations"`

	began time.Time
	want  int
}

// part is one form on one file system.
type part struct {
	FS      string `json:"fs"`
	Form    form   `json:"form"`
	Cycles  int    `json:"cycles"`
	Rich    int    `json:"cycles_with_enough_acknowledgements"`
	Acks    int    `json:"acknowledgements_compared"`
	Lost    int    `json:"lost"`
	Cuts    int64  `json:"file_systems_cut"`
	Early   int64  `json:"cut_while_starting"`
	Dropped int64  `json:"cuts_that_dropped_unsynced_data"`
	Starts  int64  `json:"starts"`
	P50     int64  `json:"ready_ms_p50"`
	P99     int64  `json:"ready_ms_p99"`
	Max     int64  `json:"ready_ms_max"`

	ready []time.Duration
}

func newReport(cfg config) *report {
	now := time.Now()
	return &report{
		Seed: cfg.seed, Began: now.UTC().Format(time.RFC3339), began: now, want: cfg.cycles * len(cfg.fs), Violations: []string{},
	}
}

// add takes what one cluster went through.
func (r *report) add(j job, t *tally) {
	i := slices.IndexFunc(r.Parts, func(p *part) bool { return p.FS == j.fs && p.Form == j.form })
	if i < 0 {
		i = len(r.Parts)
		r.Parts = append(r.Parts, &part{FS: j.fs, Form: j.form})
	}
	p := r.Parts[i]
	t.mu.Lock()
	defer t.mu.Unlock()
	p.Cycles += t.cycles
	p.Rich += t.rich
	p.Acks += t.acks
	p.Lost += t.lost
	p.Cuts += t.cuts.Load()
	p.Early += t.early.Load()
	p.Dropped += t.dropped.Load()
	p.Starts += t.starts.Load()
	p.ready = append(p.ready, t.ready...)
	r.Cycles += t.cycles
	r.Acks += t.acks
	r.Lost += t.lost
	r.Starts += t.starts.Load()
}

func (r *report) violate(j job, v *violation) {
	r.Violations = append(r.Violations, fmt.Sprintf("%s %s, seed %d: %s", j.fs, j.form, j.seed, v.text))
}

// finish judges the run. One that proves nothing does not count.
func (r *report) finish() {
	r.Seconds = time.Since(r.began).Seconds()
	r.PerMinute = float64(r.Cycles) / r.Seconds * 60
	slices.SortFunc(r.Parts, func(a, b *part) int { return strings.Compare(a.FS+string(a.Form), b.FS+string(b.Form)) })
	for _, p := range r.Parts {
		if slices.Sort(p.ready); len(p.ready) > 0 {
			at := func(q int) int64 { return p.ready[(len(p.ready)-1)*q/100].Milliseconds() }
			p.P50, p.P99, p.Max = at(50), at(99), at(100)
		}
		if p.Rich*10 < p.Cycles*9 {
			r.Why = append(r.Why, fmt.Sprintf("%s %s: only %d of %d cycles had %d acknowledgements to compare", p.FS, p.Form, p.Rich, p.Cycles, enough))
		}
		if p.Dropped*2 < p.Cuts {
			r.Why = append(r.Why, fmt.Sprintf("%s %s: only %d of %d cuts dropped what was not synced", p.FS, p.Form, p.Dropped, p.Cuts))
		}
	}
	if r.Cycles < r.want {
		r.Why = append(r.Why, fmt.Sprintf("%d of %d cycles were done", r.Cycles, r.want))
	}
	switch {
	case r.Lost > 0 || len(r.Violations) > 0:
		r.Verdict = verdictFailed
	case len(r.Why) > 0:
		r.Verdict = verdictNoCount
	default:
		r.Verdict = verdictPassed
	}
}

// text is the report for people.
func (r *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-5s %-6s %7s %9s %5s %6s %6s %8s %7s %22s\n",
		"fs", "form", "cycles", "acks", "lost", "cuts", "early", "dropped", "starts", "ready ms p50/p99/max")
	for _, p := range r.Parts {
		fmt.Fprintf(&b, "%-5s %-6s %7d %9d %5d %6d %6d %8d %7d %22s\n",
			p.FS, p.Form, p.Cycles, p.Acks, p.Lost, p.Cuts, p.Early, p.Dropped, p.Starts, fmt.Sprintf("%d/%d/%d", p.P50, p.P99, p.Max))
	}
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "VIOLATION %s\n", v)
	}
	fmt.Fprintf(&b, "\nseed %d: %d power failures in %.0f s (%.0f a minute), %d acknowledged writes compared, %d lost, %d starts\n",
		r.Seed, r.Cycles, r.Seconds, r.PerMinute, r.Acks, r.Lost, r.Starts)
	fmt.Fprintf(&b, "powerfail: %s\n", strings.ToUpper(r.Verdict))
	for _, w := range r.Why {
		fmt.Fprintf(&b, "  %s\n", w)
	}
	return b.String()
}

func (r *report) writeJSON(file string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
