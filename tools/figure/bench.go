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

// turns are what it prints of clouds measured by turns ("bench turns"): the
// result of each round, by cloud. Ours are called by their transports.
type turns struct {
	Scenario string              `json:"scenario"`
	Conc     int                 `json:"conc"`
	Clouds   map[string][]result `json:"clouds"`
}

// peerName is the cloud beside which ours are measured.
const peerName = "peer"

// fromBench makes a line of each stage on each cloud of ours; of what moves many
// bytes a second line with its rate.
func fromBench(in io.Reader, name string) ([]measured.Line, error) {
	var out []measured.Line
	for dec := json.NewDecoder(in); ; {
		var t turns
		err := dec.Decode(&t)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("after %d lines: %w", len(out), err)
		}
		if name != "" {
			t.Scenario = name
		}
		for _, transport := range []string{"https", "http"} {
			rounds := t.Clouds[transport]
			if len(rounds) == 0 {
				continue
			}
			for _, s := range rounds[0].Stages {
				out = append(out, t.line(stageName(t.Scenario, rounds[0], s.Name), "ms", transport, func(r result) float64 { return r.p50(s.Name) }, false))
			}
			if rounds[0].Size >= 1<<20 {
				out = append(out, t.line(t.Scenario+"/rate", "MiB/s", transport, func(r result) float64 { return r.MiBRate }, true))
			}
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("%s: no rounds of a cloud of ours: is it of \"bench turns\"?", t.Scenario)
		}
	}
}

// stageName leaves the name of the only stage out.
func stageName(scenario string, r result, stage string) string {
	if len(r.Stages) == 1 {
		return scenario
	}
	return scenario + "/" + stage
}

func (r result) p50(stage string) float64 {
	for _, s := range r.Stages {
		if s.Name == stage {
			return s.P50
		}
	}
	return 0
}

func (t turns) line(name, unit, transport string, of func(result) float64, more bool) measured.Line {
	var ours, theirs, ratios, cpu, peerCPU []float64
	l := measured.Line{Name: name, Unit: unit, Clients: t.Conc, Transport: transport}
	peer := t.Clouds[peerName]
	for i, r := range t.Clouds[transport] {
		l.Samples += r.Done
		l.Errors += r.Errors
		a := of(r)
		if a > 0 {
			ours, cpu = append(ours, a), append(cpu, r.CPU)
		}
		if i >= len(peer) {
			continue
		}
		l.Errors += peer[i].Errors
		b := of(peer[i])
		if b > 0 {
			theirs, peerCPU = append(theirs, b), append(peerCPU, peer[i].CPU)
		}
		if a > 0 && b > 0 {
			if more {
				ratios = append(ratios, a/b)
			} else {
				ratios = append(ratios, b/a)
			}
		}
	}
	l.Spread, l.CPU = measured.SpreadOf(ours), mean(cpu)
	if len(ratios) > 0 {
		p, q := measured.SpreadOf(theirs), measured.SpreadOf(ratios)
		l.Peer, l.Ratio, l.PeerCPU = &p, &q, mean(peerCPU)
	}
	return l
}

// mean, not the median: the kernel counts processor time in hundredths of a
// second, so that a round of short operations has too little or too much.
func mean(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	return sum / float64(len(all))
}
