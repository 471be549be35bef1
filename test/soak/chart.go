package main

import (
	"fmt"
	"math"
	"strings"
)

// The drawing, in pixels.
const (
	chartWidth  = 900
	panelHeight = 190
	plotLeft    = 80
	plotWidth   = chartWidth - plotLeft - 30
	plotTop     = 30
	plotHeight  = 120
	headHeight  = 50
)

// colours of the members.
var colours = [size]string{"#1f77b4", "#d95f02", "#2ca02c"}

// chart draws one panel for each quantity, one line for each member.
func (r *result) chart() string {
	var b strings.Builder
	height := headHeight + panelHeight*len(quantities)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		chartWidth, height, chartWidth, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", chartWidth, height)
	fmt.Fprintf(&b, `<text x="%d" y="20" font-size="14">kvd under a steady load for %v, from %s (grey: warm-up; dashed: member %d started again)</text>`+"\n",
		plotLeft, r.config.duration, r.began.UTC().Format("2006-01-02 15:04 UTC"), size)
	for i, c := range colours {
		x := plotLeft + 110*i
		fmt.Fprintf(&b, `<rect x="%d" y="32" width="18" height="4" fill="%s"/><text x="%d" y="38">member %d</text>`+"\n", x, c, x+24, i+1)
	}
	for q := range quantities {
		r.panel(&b, q, headHeight+panelHeight*q)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// panel draws one quantity, with its top at y.
func (r *result) panel(b *strings.Builder, q, y int) {
	of := quantities[q]
	top := 0.0
	for _, samples := range r.samples {
		for _, s := range samples {
			top = max(top, s.values[q]/of.scale)
		}
	}
	step := niceStep(top / 4)
	top = math.Max(step, math.Ceil(top/step)*step)
	length := r.config.duration.Seconds()
	px := func(seconds float64) float64 { return plotLeft + seconds/length*plotWidth }
	py := func(v float64) float64 { return float64(y+plotTop+plotHeight) - v/top*plotHeight }
	title := of.name
	if of.unit != "" {
		title += ", " + of.unit
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", plotLeft, y+plotTop-8, title)
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="#eeeeee"/>`+"\n",
		plotLeft, y+plotTop, px(r.config.warmUp.Seconds())-plotLeft, plotHeight)
	for v := 0.0; v <= top+step/2; v += step {
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#cccccc"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`+"\n",
			plotLeft, plotLeft+plotWidth, py(v), py(v), plotLeft-6, py(v)+4, v)
	}
	minutes := niceStep(length / 60 / 8)
	for m := 0.0; m*60 <= length+1; m += minutes {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle">%g min</text>`+"\n", px(m*60), y+plotTop+plotHeight+16, m)
	}
	for _, at := range r.started {
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s" stroke-dasharray="3 3"/>`+"\n",
			px(at.Seconds()), px(at.Seconds()), y+plotTop, y+plotTop+plotHeight, colours[size-1])
	}
	for i, samples := range r.samples {
		var line []string
		for _, s := range samples {
			line = append(line, fmt.Sprintf("%.1f,%.1f", px(s.at.Seconds()), py(s.values[q]/of.scale)))
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.3" points="%s"/>`+"\n", colours[i], strings.Join(line, " "))
	}
}

// niceStep is the next of 1, 2 and 5 times a power of ten.
func niceStep(v float64) float64 {
	if v <= 0 {
		return 1
	}
	base := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 5} {
		if f*base >= v {
			return f * base
		}
	}
	return 10 * base
}
