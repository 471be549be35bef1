package load

import (
	"testing"
	"time"
)

func TestQuantiles(t *testing.T) {
	var a, b Latency
	for i := 1; i <= 1000; i++ {
		l := &a
		if i%2 == 0 {
			l = &b
		}
		l.Record(time.Duration(i) * time.Millisecond)
	}
	a.Merge(&b)
	a.Merge(&Latency{})
	if a.Count() != 1000 {
		t.Fatalf("%d operations, want 1000", a.Count())
	}
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0, time.Millisecond}, {0.5, 500 * time.Millisecond}, {0.99, 990 * time.Millisecond}, {0.999, 999 * time.Millisecond}, {1, time.Second}} {
		if got := a.Quantile(c.q); got < c.want*99/100 || got > c.want*101/100 {
			t.Errorf("quantile %v is %v, want %v within 1 %%", c.q, got, c.want)
		}
	}
	if got := a.Mean(); got < 495*time.Millisecond || got > 506*time.Millisecond {
		t.Errorf("mean %v, want 500.5 ms", got)
	}
	a.Reset()
	if a.Count() != 0 || a.Quantile(0.5) != 0 {
		t.Errorf("after a reset there are %d operations", a.Count())
	}
}

// TestLatencyLimits: what is out of the range counts at its ends.
func TestLatencyLimits(t *testing.T) {
	var l Latency
	l.Record(0)
	l.Record(time.Hour)
	if l.Count() != 2 || l.Quantile(0) != time.Microsecond || l.Max() < 2*time.Minute || l.Max() > 122*time.Second {
		t.Errorf("%d operations, from %v to %v", l.Count(), l.Quantile(0), l.Max())
	}
	var none Latency
	if none.Count() != 0 || none.Quantile(0.5) != 0 || none.Max() != 0 || none.Mean() != 0 || none.Bars() != nil {
		t.Error("the zero value holds something")
	}
}

func TestBars(t *testing.T) {
	var l Latency
	for _, us := range []int{3, 70, 100, 100, 127, 128, 1000} {
		l.Record(time.Duration(us) * time.Microsecond)
	}
	bars := l.Bars()
	var total int64
	for i, b := range bars {
		total += b.Count
		if i > 0 && (b.From != bars[i-1].Below || b.Below != 2*b.From) {
			t.Errorf("a bar from %v to %v after one to %v", b.From, b.Below, bars[i-1].Below)
		}
	}
	if total != 7 {
		t.Errorf("%d operations in all bars, want 7", total)
	}
	first, last := bars[0], bars[len(bars)-1]
	if first.From != 2*time.Microsecond || first.Count != 1 || last.Count != 1 || last.Below != 1024*time.Microsecond {
		t.Errorf("bars from %v (%d) to %v (%d)", first.From, first.Count, last.Below, last.Count)
	}
	if b := bars[5]; b.From != 64*time.Microsecond || b.Count != 4 {
		t.Errorf("%d operations from %v, want 4 from 64 µs", b.Count, b.From)
	}
}

func BenchmarkRecord(b *testing.B) {
	b.ReportAllocs()
	var l Latency
	for b.Loop() {
		l.Record(1234 * time.Microsecond)
	}
}
