//go:build linux

package bench

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"
)

// panel is one diagram: the arms under one load.
type panel struct {
	title  string
	curves []plotCurve
}

// plotCurve is an arm's distribution as func curve samples it, in nanoseconds.
type plotCurve struct {
	name   string
	points []int64
}

// panels are the diagrams of what was measured: each arm's curve is the median over its runs.
func (b *bench) panels() []panel {
	var panels []panel
	for _, group := range b.groups() {
		p := panel{title: fmt.Sprintf("%s, %d × %v", group[0].Load, group[0].Timers, group[0].Interval)}
		for _, m := range group {
			name := m.Arm
			if m.Slack > 0 {
				name += fmt.Sprintf(", slack %v", m.Slack)
			}
			p.curves = append(p.curves, plotCurve{name, m.medianCurve()})
		}
		panels = append(panels, p)
	}
	return panels
}

// medianCurve takes the median over the runs at each share that all of them have.
func (m measured) medianCurve() []int64 {
	shortest := math.MaxInt
	for _, o := range m.runs {
		shortest = min(shortest, len(o.Curve))
	}
	points := make([]int64, shortest)
	for i := range points {
		points[i] = m.spreadOver(func(o outcome) int64 { return o.Curve[i] }).median
	}
	return points
}

// Measures of a diagram, in SVG units.
const (
	plotWidth, plotHeight           = 860.0, 430.0
	plotLeft, plotRight             = 70.0, 30.0
	plotTop, plotBottom             = 20.0, 60.0
	legendX, legendY, legendSpacing = plotLeft + 20, plotTop + 22, 20.0
	// plotFloor is the smallest lateness drawn, where the logarithmic axis begins.
	plotFloor = time.Microsecond
)

// plotStyle keeps the page readable in light and in dark; arms differ in dashes too, for those who do not see colours.
const plotStyle = `
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #ffffff; --rule: #c9c9c9;
  --c0: #b3261e; --c1: #8a5a00; --c2: #0b57d0; --c3: #00695c; --c4: #9c27b0; --c5: #37474f; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececec; --paper: #161616; --rule: #4a4a4a;
  --c0: #ff8a80; --c1: #ffcc66; --c2: #8ab4f8; --c3: #6fd6c3; --c4: #e1a4f0; --c5: #b0bec5; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
svg { width: 100%; height: auto; } text { fill: var(--ink); font-size: 14px; }
.rule { stroke: var(--rule); } .axis { stroke: var(--ink); } .curve { fill: none; stroke-width: 2.5; }
.a0 { stroke: var(--c0); } .a1 { stroke: var(--c1); stroke-dasharray: 9 4; } .a2 { stroke: var(--c2); }
.a3 { stroke: var(--c3); stroke-dasharray: 9 4; } .a4 { stroke: var(--c4); stroke-dasharray: 2 4; } .a5 { stroke: var(--c5); stroke-dasharray: 12 3 3 3; }
`

// plotPage draws the diagrams into one HTML page that needs nothing from outside. It is well-formed XML too.
func plotPage(host Host, panels []panel) string {
	var page strings.Builder
	page.WriteString("<!DOCTYPE html>\n<html lang=\"en\" xmlns=\"http://www.w3.org/1999/xhtml\">\n<head><meta charset=\"utf-8\"/>" +
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/><title>Timer lateness</title><style>" + plotStyle +
		"</style></head>\n<body>\n<h1>Timer lateness</h1>\n")
	fmt.Fprintf(&page, "<p>%s</p>\n<p>How large a share of the timers fired within how long after their deadline. "+
		"Further left is better; the upper part of the scale is the tail.</p>\n", html.EscapeString(host.String()))
	for _, p := range panels {
		p.draw(&page)
	}
	page.WriteString("</body>\n</html>\n")
	return page.String()
}

func (p panel) draw(page *strings.Builder) {
	title := html.EscapeString(p.title)
	fmt.Fprintf(page, "<h2>%s</h2>\n<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"Lateness under %s\" xmlns=\"http://www.w3.org/2000/svg\">\n",
		title, plotWidth, plotHeight, title)
	s := p.scale()
	s.drawAxes(page)
	for i, c := range p.curves {
		s.drawCurve(page, i, c)
	}
	page.WriteString("</svg>\n")
}

// plotScale places lateness (logarithmic) and shares (by their nines) in a diagram.
type plotScale struct {
	// decades is how many powers of ten the horizontal axis spans from plotFloor, points how many of a curve's points
	// the vertical one.
	decades, points int
}

func (p panel) scale() plotScale {
	s := plotScale{decades: 1, points: curvePoints}
	for _, c := range p.curves {
		s.points = max(s.points, len(c.points)-1)
		for _, late := range c.points {
			s.decades = max(s.decades, int(math.Ceil(math.Log10(float64(max(late, 1))/float64(plotFloor)))))
		}
	}
	return s
}

func (s plotScale) x(late int64) float64 {
	decade := math.Log10(float64(max(late, int64(plotFloor))) / float64(plotFloor))
	return plotLeft + decade/float64(s.decades)*(plotWidth-plotLeft-plotRight)
}

func (s plotScale) y(point float64) float64 {
	return plotHeight - plotBottom - point/float64(s.points)*(plotHeight-plotTop-plotBottom)
}

// shareLabels are the shares that get a rule.
var shareLabels = []struct {
	share float64
	label string
}{{0, "0 %"}, {0.5, "50 %"}, {0.9, "90 %"}, {0.99, "99 %"}, {0.999, "99.9 %"}, {0.9999, "99.99 %"}, {0.99999, "99.999 %"}}

func (s plotScale) drawAxes(page *strings.Builder) {
	right, bottom := plotWidth-plotRight, plotHeight-plotBottom
	for _, l := range shareLabels {
		point := -math.Log10(1-l.share) * curvePoints
		if point > float64(s.points)+0.5 {
			break
		}
		y := s.y(point)
		fmt.Fprintf(page, "<line class=\"rule\" x1=\"%g\" y1=\"%.1f\" x2=\"%g\" y2=\"%.1f\"/><text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
			plotLeft, y, right, y, plotLeft-8, y+5, l.label)
	}
	for decade := range s.decades + 1 {
		late := time.Duration(math.Pow(10, float64(decade))) * plotFloor
		x := s.x(int64(late))
		fmt.Fprintf(page, "<line class=\"rule\" x1=\"%.1f\" y1=\"%g\" x2=\"%.1f\" y2=\"%g\"/><text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%v</text>\n",
			x, plotTop, x, bottom, x, bottom+20, late)
	}
	fmt.Fprintf(page, "<line class=\"axis\" x1=\"%g\" y1=\"%g\" x2=\"%g\" y2=\"%g\"/><line class=\"axis\" x1=\"%g\" y1=\"%g\" x2=\"%g\" y2=\"%g\"/>\n",
		plotLeft, bottom, right, bottom, plotLeft, plotTop, plotLeft, bottom)
	fmt.Fprintf(page, "<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">late by (logarithmic)</text>\n", (plotLeft+right)/2, plotHeight-12)
}

// arms of one diagram differ by as many strokes as plotStyle has.
const plotStrokes = 6

func (s plotScale) drawCurve(page *strings.Builder, i int, c plotCurve) {
	var points strings.Builder
	for n, late := range c.points {
		fmt.Fprintf(&points, "%.1f,%.1f ", s.x(late), s.y(float64(n)))
	}
	stroke := i % plotStrokes
	fmt.Fprintf(page, "<polyline class=\"curve a%d\" points=\"%s\"><title>%s</title></polyline>\n",
		stroke, strings.TrimSpace(points.String()), html.EscapeString(c.name))
	y := legendY + float64(i)*legendSpacing
	fmt.Fprintf(page, "<line class=\"curve a%d\" x1=\"%g\" y1=\"%g\" x2=\"%g\" y2=\"%g\"/><text x=\"%g\" y=\"%g\">%s</text>\n",
		stroke, legendX, y-5, legendX+40, y-5, legendX+50, y, html.EscapeString(c.name))
}
