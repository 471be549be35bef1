package main

import (
	"math"
	"testing"
)

func TestTrend(t *testing.T) {
	series := func(f func(i int) float64) (out []point) {
		for i := range 480 {
			out = append(out, point{float64(i), f(i)})
		}
		return out
	}
	for _, c := range []struct {
		name   string
		series []point
		growth float64
		within float64
	}{
		{"flat", series(func(int) float64 { return 100 }), 0, 0.001},
		{"a line", series(func(i int) float64 { return 100 + float64(i)/10 }), 47.9, 0.5},
		{"a saw", series(func(i int) float64 { return 100 + float64(i%37) }), 0, 8},
		{"a saw that rises", series(func(i int) float64 { return 100 + float64(i%37) + float64(i)/4 }), 120, 15},
		{"one that jumps once in a while", series(func(i int) float64 {
			if i%100 < 3 {
				return 1000
			}
			return 50
		}), 0, 0.001},
		{"too short", series(func(i int) float64 { return float64(i) })[:10], 0, 0},
	} {
		if got := trendOf(c.series); math.Abs(got.growth-c.growth) > c.within {
			t.Errorf("%s: it grows by %.1f, want %.1f", c.name, got.growth, c.growth)
		}
	}
}
