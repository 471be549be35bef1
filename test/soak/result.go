package main

import (
	"fmt"
	"strings"
	"time"
)

// result is what a run has shown.
type result struct {
	config     config
	began      time.Time
	samples    [size][]sample
	started    []time.Duration // when the last member was started again
	operations int64
	failed     int64
	faults     []string // what must not happen
	why        []string // it does not count
	verdicts   []verdict
}

// verdict is one series of one member.
type verdict struct {
	member   int
	quantity quantity
	trend    trend
	limit    float64
}

func (v verdict) grows() bool { return v.trend.growth > v.limit }

func newResult(c config) *result { return &result{config: c, began: time.Now()} }

// finish judges all series.
func (r *result) finish() {
	for i := range r.samples {
		for q, of := range quantities {
			var points []point
			for _, s := range r.samples[i] {
				if s.at >= r.config.warmUp && (i < size-1 || r.settled(s.at)) {
					points = append(points, point{s.at.Seconds(), s.values[q]})
				}
			}
			t := trendOf(points)
			if t.points < windows {
				r.why = append(r.why, fmt.Sprintf("member %d has %d samples after the warm-up, %d are needed", i+1, t.points, windows))
			}
			r.verdicts = append(r.verdicts, verdict{i, of, t, max(of.least, of.share*t.median)})
		}
	}
	if want := int64(r.config.duration.Seconds()) * int64(r.config.rate) / 4; r.operations < want {
		r.why = append(r.why, fmt.Sprintf("%d operations were done, %d are needed", r.operations, want))
	}
	if r.failed*100 > r.operations {
		r.faults = append(r.faults, fmt.Sprintf("%d of %d operations failed", r.failed, r.operations))
	}
}

// settled reports whether the last member had run for a while: what it fills after
// each start is no growth.
func (r *result) settled(at time.Duration) bool {
	for _, s := range r.started {
		if at >= s && at < s+min(r.config.duration/14, 5*time.Minute) {
			return false
		}
	}
	return true
}

func (r *result) growing() (out []verdict) {
	for _, v := range r.verdicts {
		if v.grows() {
			out = append(out, v)
		}
	}
	return out
}

// markdown is the report.
func (r *result) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Soak\n\n%s, %v of which %v warm-up; %d operations, %d failed; member %d started again %d times.\n\n",
		r.began.UTC().Format(time.RFC3339), r.config.duration, r.config.warmUp, r.operations, r.failed, size, len(r.started))
	b.WriteString("| Member | Quantity | Median | Growth by the slope | Limit | An hour | Verdict |\n|---|---|---|---|---|---|---|\n")
	for _, v := range r.verdicts {
		word, unit := "flat", strings.TrimSpace(" "+v.quantity.unit)
		if v.grows() {
			word = "GROWS"
		}
		n := func(x float64) string { return strings.TrimSpace(fmt.Sprintf("%.1f %s", x/v.quantity.scale, unit)) }
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s | %s |\n", v.member+1, v.quantity.name,
			n(v.trend.median), n(v.trend.growth), n(v.limit), n(v.trend.hourly), word)
	}
	for _, f := range r.faults {
		fmt.Fprintf(&b, "\nFault: %s\n", f)
	}
	for _, w := range r.why {
		fmt.Fprintf(&b, "\nDoes not count: %s\n", w)
	}
	switch {
	case len(r.why) > 0:
		b.WriteString("\nsoak: DOES NOT COUNT\n")
	case len(r.growing()) > 0 || len(r.faults) > 0:
		b.WriteString("\nsoak: FAILED\n")
	default:
		b.WriteString("\nsoak: FLAT\n")
	}
	return b.String()
}

// csv holds every sample.
func (r *result) csv() string {
	var b strings.Builder
	b.WriteString("seconds,member,operations,resident_bytes,goroutines,descriptors,disk_bytes\n")
	for i, samples := range r.samples {
		for _, s := range samples {
			fmt.Fprintf(&b, "%.1f,%d,%d,%.0f,%.0f,%.0f,%.0f\n", s.at.Seconds(), i+1, s.operations, s.values[0], s.values[1], s.values[2], s.values[3])
		}
	}
	return b.String()
}
