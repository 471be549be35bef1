package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The range of a histogram, in its unit, and its precision: exact to the
// microsecond below 256 µs, and to less than one part in a hundred above. So it
// takes 20 kB, and 256 workers can have one each.
const (
	latencyUnit   = time.Microsecond
	latencyLowest = 1
	latencyMost   = int64(2 * time.Minute / latencyUnit)
	latencyDigits = 2
)

// Latency is how long operations took. The zero value holds none.
type Latency struct{ h *hdrhistogram.Histogram }

// Record adds an operation. Longer ones than two minutes count as two minutes.
func (l *Latency) Record(d time.Duration) {
	if l.h == nil {
		l.h = hdrhistogram.New(latencyLowest, latencyMost, latencyDigits)
	}
	// It fails outside of the range alone.
	_ = l.h.RecordValue(max(latencyLowest, min(latencyMost, int64(d/latencyUnit))))
}

// Merge adds what o holds.
func (l *Latency) Merge(o *Latency) {
	if o.h == nil {
		return
	}
	if l.h == nil {
		l.h = hdrhistogram.New(latencyLowest, latencyMost, latencyDigits)
	}
	l.h.Merge(o.h)
}

// Reset forgets everything, and keeps the memory.
func (l *Latency) Reset() {
	if l.h != nil {
		l.h.Reset()
	}
}

// Count is the number of operations.
func (l *Latency) Count() int64 {
	if l.h == nil {
		return 0
	}
	return l.h.TotalCount()
}

// Quantile is the time that a share q (0 to 1) of the operations took at most; 0
// where there are none.
func (l *Latency) Quantile(q float64) time.Duration {
	if l.h == nil {
		return 0
	}
	return time.Duration(l.h.ValueAtPercentile(100*q)) * latencyUnit
}

// Max is the longest time; 0 where there are no operations.
func (l *Latency) Max() time.Duration {
	if l.h == nil {
		return 0
	}
	return time.Duration(l.h.Max()) * latencyUnit
}

// Mean is the mean time; 0 where there are no operations.
func (l *Latency) Mean() time.Duration {
	if l.h == nil {
		return 0
	}
	return time.Duration(l.h.Mean() * float64(latencyUnit))
}

// Bar is how many operations took from From to Below.
type Bar struct {
	From, Below time.Duration
	Count       int64
}

// Bars parts the operations by time, each bar twice as far as the one before;
// from the fastest to the slowest, with none missing in between.
func (l *Latency) Bars() []Bar {
	if l.Count() == 0 {
		return nil
	}
	var bars []Bar
	for _, b := range l.h.Distribution() {
		if b.Count == 0 {
			continue
		}
		for len(bars) == 0 || time.Duration(b.From)*latencyUnit >= bars[len(bars)-1].Below {
			next := Bar{0, latencyUnit, 0}
			if n := len(bars); n > 0 {
				next = Bar{bars[n-1].Below, 2 * bars[n-1].Below, 0}
			}
			bars = append(bars, next)
		}
		bars[len(bars)-1].Count += b.Count
	}
	for len(bars) > 0 && bars[0].Count == 0 {
		bars = bars[1:]
	}
	return bars
}
