package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/mekcloud/mek/test/measured"
)

// result is what the load generator prints of one measurement.
type result struct {
	Scenario string  `json:"scenario"`
	Conc     int     `json:"conc"`
	Size     int64   `json:"size_bytes"`
	Errors   int     `json:"errors"`
	Done     int     `json:"done"`
	MiBRate  float64 `json:"mib_per_s"`
	CPU      float64 `json:"cpu_ms_per_op"`
	Stages   []struct {
		Name string  `json:"name"`
		P50  float64 `json:"p50_ms"`
	} `json:"stages"`
}

// comparison is what it prints of two clouds measured by turns.
type comparison struct {
	Scenario string `json:"scenario"`
	Conc     int    `json:"conc"`
	Rounds   []struct {
		A result `json:"a"`
		B result `json:"b"`
	} `json:"rounds"`
	Errors int `json:"errors"`
}

// fromBench makes a line of each stage of each comparison; of what moves many
// bytes a second line with its rate.
func fromBench(in io.Reader, name, transport string, alone bool) ([]measured.Line, error) {
	var out []measured.Line
	for dec := json.NewDecoder(in); ; {
		var c comparison
		err := dec.Decode(&c)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("after %d lines: %w", len(out), err)
		}
		if len(c.Rounds) == 0 {
			return nil, fmt.Errorf("%s: no rounds: is it a comparison?", c.Scenario)
		}
		if name != "" {
			c.Scenario = name
		}
		for i, s := range c.Rounds[0].A.Stages {
			out = append(out, c.line(stageName(c, i, s.Name), "ms", transport, alone, func(r result) float64 { return r.p50(s.Name) }, false))
		}
		if c.Rounds[0].A.Size >= 1<<20 {
			out = append(out, c.line(c.Scenario+"/rate", "MiB/s", transport, alone, func(r result) float64 { return r.MiBRate }, true))
		}
	}
}

// stageName leaves the name of the only stage out.
func stageName(c comparison, i int, stage string) string {
	if len(c.Rounds[0].A.Stages) == 1 && i == 0 {
		return c.Scenario
	}
	return c.Scenario + "/" + stage
}

func (r result) p50(stage string) float64 {
	for _, s := range r.Stages {
		if s.Name == stage {
			return s.P50
		}
	}
	return 0
}

func (c comparison) line(name, unit, transport string, alone bool, of func(result) float64, more bool) measured.Line {
	var ours, theirs, ratios, cpu, peerCPU []float64
	l := measured.Line{Name: name, Unit: unit, Clients: c.Conc, Transport: transport}
	for _, r := range c.Rounds {
		a, b := of(r.A), of(r.B)
		l.Samples += r.A.Done
		l.Errors += r.A.Errors
		if a > 0 {
			ours, cpu = append(ours, a), append(cpu, r.A.CPU)
		}
		if b > 0 {
			theirs, peerCPU = append(theirs, b), append(peerCPU, r.B.CPU)
		}
		if a > 0 && b > 0 {
			if more {
				ratios = append(ratios, a/b)
			} else {
				ratios = append(ratios, b/a)
			}
		}
	}
	l.Spread, l.CPU = measured.SpreadOf(ours), measured.SpreadOf(cpu).Value
	if !alone && len(theirs) > 0 {
		peer, ratio := measured.SpreadOf(theirs), measured.SpreadOf(ratios)
		l.Peer, l.Ratio, l.PeerCPU = &peer, &ratio, measured.SpreadOf(peerCPU).Value
	}
	return l
}
