package main

import (
	"bufio"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/test/measured"
)

var goBench = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(.*)$`)

// fromGo makes a line of each figure that Go's benchmarks print, the median of
// their runs (-count). Lines that are none are left out.
func fromGo(in io.Reader) ([]measured.Line, error) {
	type key struct{ name, unit string }
	samples, order := map[key][]float64{}, []key(nil)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		m := goBench.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		fields := strings.Fields(m[2])
		for i := 0; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, err
			}
			k := key{"go/" + m[1], fields[i+1]}
			if samples[k] == nil {
				order = append(order, k)
			}
			samples[k] = append(samples[k], v)
		}
	}
	var out []measured.Line
	for _, k := range order {
		out = append(out, measured.Line{Name: k.name + " " + k.unit, Unit: k.unit, Spread: measured.SpreadOf(samples[k]), Samples: len(samples[k])})
	}
	return out, lines.Err()
}
