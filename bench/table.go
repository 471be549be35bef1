package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newTableCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "table REPORT…",
		Short: "Print the table of reports again, each by itself",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, path := range args {
				r, err := readReport(path)
				if err != nil {
					return err
				}
				writeTable(cmd.OutOrStdout(), r)
			}
			return nil
		},
	}
}

// ratioPairs are the ratios that a scenario shows where both sides ran.
var ratioPairs = [][2]string{
	{wayKvdWire, wayEtcdGo}, {wayKvdGo, wayEtcdGo}, {wayKvdWire, wayEtcdWeb}, {wayKvdWire, wayBare},
}

// writeTable writes a report as Markdown.
func writeTable(w io.Writer, r *report) {
	gib := float64(r.Machine.MemoryBytes) / (1 << 30)
	fmt.Fprintf(w, "%s, commit %s; etcd %s; %s; %s, %d cores, %.0f GiB, %s. %d rounds of %v after %v; median (least–most).\n",
		r.Began.Format("2006-01-02"), r.Commit, r.Versions.Etcd, r.Versions.Go,
		r.Machine.CPU, r.Machine.Cores, gib, r.Machine.System, r.Options.Rounds, r.Options.Duration, r.Options.WarmUp)
	fmt.Fprintf(w, "Invocation %s, %.0f s.\n\n", r.Invocation, r.Seconds)
	if len(r.Results) > 0 {
		writeResults(w, r)
		writeRatios(w, r)
	}
	if len(r.Facts) > 0 {
		writeFacts(w, r)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "- %s\n", strings.ReplaceAll(n, "\n", " "))
	}
}

func writeResults(w io.Writer, r *report) {
	fmt.Fprintln(w, "| Work | by | operations/s | p50 | p99 | p99.9 | CPU/operation: servers | client | resident, all members |")
	fmt.Fprintln(w, "|---|---|--:|--:|--:|--:|--:|--:|--:|")
	for i := range r.Results {
		res := &r.Results[i]
		for j := range res.Series {
			s := &res.Series[j]
			at := func(f func(*sample) float64) float64 { return s.over(f).median }
			t := s.over(throughput)
			fmt.Fprintf(w, "| %s | %s | %s (%s–%s) | %s | %s | %s | %s | %s | %s |%s\n", res.Name, s.Way,
				count(t.median), count(t.least), count(t.most),
				micros(at(func(s *sample) float64 { return s.Latency.P50 })), micros(at(p99)),
				micros(at(func(s *sample) float64 { return s.Latency.P999 })),
				micros(at(func(s *sample) float64 { return s.ServerCPU })), micros(at(func(s *sample) float64 { return s.ClientCPU })),
				megabytes(at(func(s *sample) float64 { return float64(s.Resident) })), failures(s))
		}
	}
	fmt.Fprintln(w)
}

// failures is what is said behind a row whose operations did not all succeed.
func failures(s *series) string {
	var failed, all int64
	for i := range s.Samples {
		failed += s.Samples[i].Failed
		all += s.Samples[i].Failed + s.Samples[i].Ops
	}
	if failed == 0 {
		return ""
	}
	return fmt.Sprintf(" **%d of %d failed**", failed, all)
}

func writeRatios(w io.Writer, r *report) {
	fmt.Fprintln(w, "| Work | ratio of | throughput | p99 | goal | reached |")
	fmt.Fprintln(w, "|---|---|--:|--:|---|---|")
	var refused []string
	for i := range r.Results {
		res := &r.Results[i]
		for _, pair := range ratioPairs {
			a, err1 := r.side(res, pair[0])
			b, err2 := r.side(res, pair[1])
			if err1 != nil || err2 != nil {
				if g := slices.IndexFunc(res.Goals, func(g goal) bool { return g.Of == pair[0] && g.To == pair[1] }); g >= 0 {
					refused = append(refused, fmt.Sprintf("%s, %s to %s", res.Name, pair[0], pair[1]))
				}
				continue
			}
			t, err := ratio(a, b, throughput)
			if err != nil {
				refused = append(refused, err.Error())
				continue
			}
			p, err := ratio(a, b, p99)
			if err != nil {
				refused = append(refused, err.Error())
				continue
			}
			times := fmt.Sprintf("%.2f (%.2f–%.2f)", p.median, p.least, p.most)
			if pair[1] == wayBare {
				times = "" // it has nothing to wait for
			}
			want, reached := judge(res.Goals, pair, t.median, p.median)
			fmt.Fprintf(w, "| %s | %s to %s | %.2f (%.2f–%.2f) | %s | %s | %s |\n",
				res.Name, pair[0], pair[1], t.median, t.least, t.most, times, want, reached)
		}
	}
	fmt.Fprintln(w)
	if len(refused) > 0 {
		fmt.Fprintf(w, "No ratio where both sides were not measured in the same rounds of this invocation: %s.\n\n", strings.Join(refused, "; "))
	}
}

func writeFacts(w io.Writer, r *report) {
	fmt.Fprintln(w, "| State | | kvd | etcd | ratio | goal | reached |")
	fmt.Fprintln(w, "|---|---|--:|--:|--:|---|---|")
	for i := range r.Facts {
		f := &r.Facts[i]
		k, e := newSpread(f.Values[systemKvd]), newSpread(f.Values[systemEtcd])
		relation, want, reached := "", "", ""
		rel, err := f.ratio()
		if err == nil {
			relation = fmt.Sprintf("%.2f (%.2f–%.2f)", rel.median, rel.least, rel.most)
		}
		switch {
		case f.Most > 0 && err == nil:
			want, reached = fmt.Sprintf("≤ %g × etcd", f.Most), yes(rel.median <= f.Most)
		case f.Limit > 0 && len(f.Values[systemKvd]) > 0:
			want, reached = fmt.Sprintf("≤ %g", f.Limit), yes(k.median <= f.Limit)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n",
			f.State, f.Name, f.text(systemKvd, k), f.text(systemEtcd, e), relation, want, reached)
	}
	fmt.Fprintln(w)
}

// text writes a value in a unit that fits; nothing where there is none.
func (f *fact) text(system string, s spread) string {
	if len(f.Values[system]) == 0 {
		return ""
	}
	one := func(v float64) string {
		switch f.Unit {
		case unitSeconds:
			return micros(v * 1e6)
		case unitBytes:
			return megabytes(v)
		case unitPerSecond:
			return count(v) + "/s"
		}
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%s (%s–%s)", one(s.median), one(s.least), one(s.most))
}

func yes(reached bool) string {
	if reached {
		return "yes"
	}
	return "no"
}

// judge says what the goal of a pair is, and whether these medians reach it.
func judge(goals []goal, pair [2]string, throughput, p99 float64) (want, reached string) {
	for _, g := range goals {
		if g.Of != pair[0] || g.To != pair[1] {
			continue
		}
		ok := true
		if g.Least > 0 {
			want, ok = fmt.Sprintf("≥ %g", g.Least), throughput >= g.Least
		}
		if g.P99Most > 0 {
			want, ok = want+fmt.Sprintf(", p99 ≤ %g", g.P99Most), ok && p99 <= g.P99Most
		}
		return want, yes(ok)
	}
	return "", ""
}

// count writes a number of operations with commas, to three or more digits.
func count(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// micros writes a time in microseconds in a unit that fits.
func micros(v float64) string {
	d := time.Duration(v * float64(time.Microsecond))
	switch {
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%.1f µs", v)
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f µs", v)
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", v/1e3)
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", v/1e3)
	}
	return fmt.Sprintf("%.2f s", v/1e6)
}

func megabytes(v float64) string { return fmt.Sprintf("%.0f MB", math.Round(v/1e6)) }
