package measured

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
)

// Curve is how one operation grows: Y in milliseconds by X rows.
type Curve struct {
	Name string
	X, Y []float64
}

// The drawing: its size, and the margins around the field.
const (
	curveWidth, curveHeight = 900, 520
	left, right, top, foot  = 70, 230, 40, 50
)

// palette are colours that differ for eyes of all kinds, more or less.
func palette() []string {
	return []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#7f7f7f", "#8c564b", "#17becf", "#bcbd22", "#9467bd", "#1b4f72", "#a04000"}
}

// Draw draws curves as an SVG, both scales logarithmic: what grows with the rows
// rises like the line from corner to corner, what does not is flat.
func Draw(title string, curves []Curve) []byte {
	var b bytes.Buffer
	low, high, first, last := bounds(curves)
	x := func(v float64) float64 {
		return left + (curveWidth-left-right)*(math.Log10(v)-math.Log10(first))/(math.Log10(last)-math.Log10(first))
	}
	y := func(v float64) float64 {
		return curveHeight - foot - (curveHeight-top-foot)*(math.Log10(v)-math.Log10(low))/(math.Log10(high)-math.Log10(low))
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", curveWidth, curveHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/><text x="%d" y="22" font-size="15">%s</text>`+"\n", curveWidth, curveHeight, left, html.EscapeString(title))
	for v := low; v <= high*1.01; v *= 10 {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g ms</text>`+"\n", left, y(v), curveWidth-right, left-6, y(v)+4, v)
	}
	for v := first; v <= last*1.01; v *= 10 {
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%.0f rows</text>`+"\n", x(v), top, curveHeight-foot, x(v), curveHeight-foot+18, v)
	}
	for i, c := range curves {
		colour := palette()[i%len(palette())]
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="`, colour)
		for k := range c.X {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(c.X[k]), y(max(c.Y[k], low)))
		}
		fmt.Fprintf(&b, `"/><text x="%d" y="%d" fill="%s">%s</text>`+"\n", curveWidth-right+12, top+12+i*18, colour, html.EscapeString(c.Name))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// bounds are whole powers of ten around all values, and the ends of X.
func bounds(curves []Curve) (low, high, first, last float64) {
	var xs, ys []float64
	for _, c := range curves {
		xs, ys = append(xs, c.X...), append(ys, c.Y...)
	}
	if len(ys) == 0 {
		return 1, 10, 1, 10
	}
	low = math.Pow(10, math.Floor(math.Log10(max(slices.Min(ys), 0.001))))
	high = math.Pow(10, math.Ceil(math.Log10(max(slices.Max(ys), 0.001))))
	first, last = slices.Min(xs), slices.Max(xs)
	if high == low {
		high = low * 10
	}
	if last == first {
		last = first * 10
	}
	return low, high, first, last
}
