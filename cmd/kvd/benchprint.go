package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"kvd/internal/load"
)

// liveLine is one line that is written over and over, or, where it is not a
// terminal, line after line.
type liveLine struct {
	w        io.Writer
	terminal bool
}

// liveWidth is how much of a terminal it takes at most.
const liveWidth = 79

func newLiveLine(w io.Writer) *liveLine {
	l := &liveLine{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		l.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return l
}

func (l *liveLine) say(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if l.terminal {
		fmt.Fprintf(l.w, "\r%-*.*s", liveWidth, liveWidth, s)
		return
	}
	fmt.Fprintln(l.w, s)
}

// clear takes the line away.
func (l *liveLine) clear() {
	if l.terminal {
		fmt.Fprintf(l.w, "\r%*s\r", liveWidth, "")
	}
}

// print writes a line that stays.
func (l *liveLine) print(format string, args ...any) {
	l.clear()
	fmt.Fprintf(l.w, format+"\n", args...)
}

// progress tells what was done since the last time.
func (l *liveLine) progress(p load.Progress) {
	at := fmt.Sprintf("%3.0f s", p.At.Seconds())
	if p.At < 0 {
		at = "warm-up"
	}
	failed := ""
	if p.Failed > 0 {
		failed = fmt.Sprintf("  %d FAILED", p.Failed)
	}
	l.say("%s  %.0f/s  p50 %s  p99 %s%s", at, p.PerSecond(), shortTime(p.Latency.Quantile(0.5)), shortTime(p.Latency.Quantile(0.99)), failed)
}

// benchDocument is the result of kvd bench, as it is printed. Times are in
// microseconds.
type benchDocument struct {
	Endpoints  []string `json:"endpoints"`
	Op         string   `json:"op"`
	Clients    uint64   `json:"clients"`
	Keys       uint64   `json:"keys"`
	ValueBytes uint64   `json:"value_bytes"`
	Seconds    float64  `json:"seconds"`

	Operations int64              `json:"operations"`
	PerSecond  float64            `json:"per_second"`
	Failed     int64              `json:"failed"`
	Errors     map[string]int64   `json:"errors,omitempty"`
	Latency    latencyDocument    `json:"latency_us"`
	Reads      *latencyDocument   `json:"reads_us,omitempty"` // where there are both
	Writes     *latencyDocument   `json:"writes_us,omitempty"`
	Histogram  []histogramSegment `json:"histogram_us"`
}

type latencyDocument struct {
	Operations int64   `json:"operations"`
	Mean       float64 `json:"mean"`
	P50        float64 `json:"p50"`
	P90        float64 `json:"p90"`
	P99        float64 `json:"p99"`
	P999       float64 `json:"p999"`
	Max        float64 `json:"max"`
}

// histogramSegment is how many operations took from From to before Below.
type histogramSegment struct {
	From  float64 `json:"from"`
	Below float64 `json:"below"`
	Count int64   `json:"count"`
}

func inMicros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func newLatencyDocument(l *load.Latency) latencyDocument {
	q := func(q float64) float64 { return inMicros(l.Quantile(q)) }
	return latencyDocument{l.Count(), inMicros(l.Mean()), q(0.5), q(0.9), q(0.99), q(0.999), inMicros(l.Max())}
}

func newBenchDocument(c *benchConfig, r *load.Result) *benchDocument {
	doc := &benchDocument{
		Endpoints: c.Endpoints, Op: c.Op, Clients: c.Clients, Keys: c.Keys, ValueBytes: c.ValueBytes, Seconds: r.Elapsed.Seconds(),
		Operations: r.Operations(), PerSecond: r.PerSecond(), Failed: r.Failed, Errors: r.Errors,
		Latency: newLatencyDocument(&r.Latency), Histogram: []histogramSegment{},
	}
	if reads, writes := &r.Classes[benchRead].Latency, &r.Classes[benchWrite].Latency; reads.Count() > 0 && writes.Count() > 0 {
		doc.Reads, doc.Writes = new(newLatencyDocument(reads)), new(newLatencyDocument(writes))
	}
	for _, b := range r.Latency.Bars() {
		doc.Histogram = append(doc.Histogram, histogramSegment{inMicros(b.From), inMicros(b.Below), b.Count})
	}
	return doc
}

// barWidth is how many characters the longest bar of the histogram has.
const barWidth = 40

func printBench(w io.Writer, doc *benchDocument) error {
	fmt.Fprintf(w, "%s, %d clients at %d endpoint(s), %d keys, values of %s, %.1f s\n\n",
		doc.Op, doc.Clients, len(doc.Endpoints), doc.Keys, humanBytes(int64(doc.ValueBytes)), doc.Seconds)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "\toperations/s\tmean\tp50\tp90\tp99\tp99.9\tmax\t")
	row := func(name string, l *latencyDocument) {
		if l == nil {
			return
		}
		us := func(v float64) string { return shortTime(time.Duration(v * float64(time.Microsecond))) }
		fmt.Fprintf(tw, "%s\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name, float64(l.Operations)/doc.Seconds,
			us(l.Mean), us(l.P50), us(l.P90), us(l.P99), us(l.P999), us(l.Max))
	}
	row("all", &doc.Latency)
	row("reads", doc.Reads)
	row("writes", doc.Writes)
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	var most int64
	for _, s := range doc.Histogram {
		most = max(most, s.Count)
	}
	for _, s := range doc.Histogram {
		bar := strings.Repeat("#", int((s.Count*barWidth+most-1)/most)) // what there is, is seen
		below := shortTime(time.Duration(s.Below * float64(time.Microsecond)))
		if _, err := fmt.Fprintf(w, "  below %8s  %9d  %6.2f %%  %s\n", below, s.Count, 100*float64(s.Count)/float64(doc.Operations), bar); err != nil {
			return err
		}
	}
	if doc.Failed > 0 {
		fmt.Fprintf(w, "\n%d operations failed and are not in these figures\n", doc.Failed)
	}
	return nil
}

// shortTime writes a time with three digits.
func shortTime(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
