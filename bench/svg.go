package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The drawing of a chart, in pixels. Panels stand side by side, two a row.
const (
	panelWidth  = 440
	panelHeight = 290
	plotLeft    = 64
	plotTop     = 34
	plotWidth   = panelWidth - plotLeft - 20
	plotHeight  = panelHeight - plotTop - 48
	headHeight  = 62
	panelsARow  = 2
)

// chart is a drawing of panels that share their lines' names and colours.
type chart struct {
	title  string
	note   string // in small letters below the title
	panels []panel
}

// panel is a diagram with two logarithmic axes.
type panel struct {
	title string
	x, y  axis
	lines []line
}

// axis says what one is, and how its values are written.
type axis struct {
	name string
	text func(v float64) string
}

// line is what one way has done; points are in the order of x.
type line struct {
	name   string
	points []point
}

// point is a median, with the least and the most of the rounds.
type point struct {
	x float64
	y spread
}

// colour is that of a line: kvd in blue, etcd in orange, the bare handler in grey.
func colour(name string) string {
	switch name {
	case wayKvdWire:
		return "#1f4e9c"
	case wayKvdGo:
		return "#5b9bd5"
	case wayEtcdGo:
		return "#c55a11"
	case wayEtcdWeb:
		return "#f4a261"
	}
	return "#777777"
}

// svg draws the chart.
func (c *chart) svg() string {
	var b strings.Builder
	rows := (len(c.panels) + panelsARow - 1) / panelsARow
	width, height := panelWidth*min(panelsARow, len(c.panels)), headHeight+panelHeight*rows
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="12" y="20" font-size="14" font-weight="bold">%s</text>`+"\n", html.EscapeString(c.title))
	fmt.Fprintf(&b, `<text x="12" y="36" font-size="10" fill="#555555">%s</text>`+"\n", html.EscapeString(c.note))
	for i, name := range c.names() {
		x := 12 + 95*i
		fmt.Fprintf(&b, `<rect x="%d" y="47" width="16" height="4" fill="%s"/><text x="%d" y="53">%s</text>`+"\n",
			x, colour(name), x+21, html.EscapeString(name))
	}
	for i := range c.panels {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", panelWidth*(i%panelsARow), headHeight+panelHeight*(i/panelsARow))
		c.panels[i].draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// names are those of all lines, in the order of the ways.
func (c *chart) names() []string {
	var names []string
	for _, w := range ways() {
		for _, p := range c.panels {
			if p.line(w.name) {
				names = append(names, w.name)
				break
			}
		}
	}
	return names
}

func (p *panel) line(name string) bool {
	for _, l := range p.lines {
		if l.name == name {
			return true
		}
	}
	return false
}

func (p *panel) draw(b *strings.Builder) {
	xs, ys := p.scales()
	fmt.Fprintf(b, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", plotLeft, plotTop-14, html.EscapeString(p.title))
	for _, v := range ys.ticks() {
		y := plotTop + plotHeight*(1-ys.at(v))
		fmt.Fprintf(b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#dddddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			plotLeft, plotLeft+plotWidth, y, y, plotLeft-6, y+4, html.EscapeString(p.y.text(v)))
	}
	for _, v := range p.xValues() {
		x := plotLeft + plotWidth*xs.at(v)
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#eeeeee"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			x, x, plotTop, plotTop+plotHeight, x, plotTop+plotHeight+16, html.EscapeString(p.x.text(v)))
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle" fill="#555555">%s</text>`+"\n",
		plotLeft+plotWidth/2, plotTop+plotHeight+32, html.EscapeString(p.x.name))
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#555555">%s</text>`+"\n", plotLeft, plotTop-2, html.EscapeString(p.y.name))
	for _, l := range p.lines {
		var at []string
		for _, pt := range l.points {
			x, y := plotLeft+plotWidth*xs.at(pt.x), plotTop+plotHeight*(1-ys.at(pt.y.median))
			at = append(at, fmt.Sprintf("%.1f,%.1f", x, y))
			// The whisker is the spread of the rounds.
			fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s"/><circle cx="%.1f" cy="%.1f" r="2.6" fill="%s"/>`+"\n",
				x, x, plotTop+plotHeight*(1-ys.at(pt.y.least)), plotTop+plotHeight*(1-ys.at(pt.y.most)), colour(l.name), x, y, colour(l.name))
		}
		fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.6" points="%s"/>`+"\n", colour(l.name), strings.Join(at, " "))
	}
}

// scales fit all points.
func (p *panel) scales() (x, y logScale) {
	for _, l := range p.lines {
		for _, pt := range l.points {
			x.include(pt.x)
			y.include(pt.y.least)
			y.include(pt.y.most)
		}
	}
	return x.margin(0.05), y.margin(0.05)
}

// xValues are those of all points, in order, each once.
func (p *panel) xValues() []float64 {
	var longest []float64
	for _, l := range p.lines {
		var xs []float64
		for _, pt := range l.points {
			xs = append(xs, pt.x)
		}
		if len(xs) > len(longest) {
			longest = xs
		}
	}
	return longest
}

// logScale maps from least to most to 0 to 1. The zero value holds nothing.
type logScale struct{ least, most float64 }

// smallest is drawn for what is less, and for 0, which no logarithm has.
const smallest = 0.5

func (s *logScale) include(v float64) {
	v = max(v, smallest)
	if s.most == 0 {
		s.least, s.most = v, v
	}
	s.least, s.most = min(s.least, v), max(s.most, v)
}

// margin widens the scale by a share at each end.
func (s logScale) margin(share float64) logScale {
	f := math.Pow(max(2, s.most/s.least), share)
	return logScale{s.least / f, s.most * f}
}

func (s logScale) at(v float64) float64 {
	return math.Log(max(v, smallest)/s.least) / math.Log(s.most/s.least)
}

// ticks are 1, 2 and 5 times the powers of ten, or the powers alone where there
// would be too many.
func (s logScale) ticks() []float64 {
	for _, steps := range [][]float64{{1, 2, 5}, {1}} {
		var list []float64
		for e := math.Floor(math.Log10(s.least)); e <= math.Ceil(math.Log10(s.most)); e++ {
			for _, f := range steps {
				if v := f * math.Pow(10, e); v >= s.least && v <= s.most {
					list = append(list, v)
				}
			}
		}
		if len(list) <= 9 {
			return list
		}
	}
	return nil
}
