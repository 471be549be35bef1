package main

import (
	"slices"
	"time"
)

// windows is into how many pieces a series is cut.
const windows = 24

// point is a value at a time, in seconds.
type point struct{ x, y float64 }

// trend is where a series goes.
type trend struct {
	points int
	median float64
	growth float64 // over the time measured, by the slope
	hourly float64 // the slope, an hour
}

// trendOf judges a series. It is cut into windows, whose medians count.
func trendOf(points []point) trend {
	t := trend{points: len(points)}
	if len(points) < windows {
		return t
	}
	var mid []point
	for i := range windows {
		part := points[i*len(points)/windows : (i+1)*len(points)/windows]
		mid = append(mid, point{median(column(part, func(p point) float64 { return p.x })), median(column(part, func(p point) float64 { return p.y }))})
	}
	var slopes []float64
	for i, a := range mid {
		for _, b := range mid[i+1:] {
			slopes = append(slopes, (b.y-a.y)/(b.x-a.x))
		}
	}
	slope := median(slopes)
	t.median = median(column(mid, func(p point) float64 { return p.y }))
	t.growth = slope * (points[len(points)-1].x - points[0].x)
	t.hourly = slope * time.Hour.Seconds()
	return t
}

func column(points []point, of func(point) float64) (out []float64) {
	for _, p := range points {
		out = append(out, of(p))
	}
	return out
}

func median(v []float64) float64 {
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
