package main

import (
	"io"
	"strings"

	"github.com/mekcloud/mek/test/measured"
)

// fromLimits makes a line of what was measured of each limit after the rounds of
// a row: what the machine could do at that time.
func fromLimits(in io.Reader, row string) ([]measured.Line, error) {
	all, err := measured.Read(in)
	if err != nil {
		return nil, err
	}
	var out []measured.Line
	at := map[string]int{}
	values := map[string][]float64{}
	for _, l := range all {
		if _, there := at[l.Name]; !there {
			at[l.Name] = len(out)
			out = append(out, measured.Line{Name: "beside/" + row + "/" + strings.TrimPrefix(l.Name, "limit/"), Unit: l.Unit, Note: l.Note})
		}
		values[l.Name] = append(values[l.Name], l.Value)
		out[at[l.Name]].Samples += l.Samples
	}
	for name, i := range at {
		out[i].Spread = measured.SpreadOf(values[name])
	}
	return out, nil
}
