package measured

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
)

// Line is one thing that was measured. Value, Least and Most are the median and
// the ends of its samples, in Unit.
type Line struct {
	Name      string `json:"name"`                // "server-create/accepted"
	Clients   int    `json:"clients,omitempty"`   // at once
	Transport string `json:"transport,omitempty"` // http or https
	Spread
	Unit    string             `json:"unit"`
	Samples int                `json:"samples,omitempty"`
	Peer    *Spread            `json:"peer,omitempty"`   // the real OpenStack in the same run
	Ratio   *Spread            `json:"ratio,omitempty"`  // by rounds; above 1: better than the peer
	CPU     float64            `json:"cpu_ms,omitempty"` // processor time of an operation
	PeerCPU float64            `json:"peer_cpu_ms,omitempty"`
	Where   map[string]float64 `json:"where,omitempty"` // shares of our processor time, by what it went into
	Errors  int                `json:"errors,omitempty"`
	Note    string             `json:"note,omitempty"` // how, or why not
	Command string             `json:"command,omitempty"`
	Commit  string             `json:"commit,omitempty"`
	Machine string             `json:"machine,omitempty"`
	Load    float64            `json:"load,omitempty"` // of the machine before, by others
	At      string             `json:"at,omitempty"`
}

// Spread is a median with the least and the greatest.
type Spread struct {
	Value float64 `json:"value"`
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
}

// SpreadOf is the spread of samples; zero of none.
func SpreadOf(samples []float64) Spread {
	if len(samples) == 0 {
		return Spread{}
	}
	all := slices.Sorted(slices.Values(samples))
	middle := all[len(all)/2]
	if len(all)%2 == 0 {
		middle = (middle + all[len(all)/2-1]) / 2
	}
	return Spread{middle, all[0], all[len(all)-1]}
}

// Percentile is by nearest rank, of sorted samples.
func Percentile(sorted []float64, p int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(1, (p*len(sorted)+99)/100)-1]
}

// Write writes lines, stamped with what they were measured on.
func Write(w io.Writer, lines ...Line) error {
	for _, l := range lines {
		l.stamp()
		text, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("%s: %w", l.Name, err)
		}
		if _, err := w.Write(append(text, '\n')); err != nil { // one write: lines of several processes never mix
			return err
		}
	}
	return nil
}

// Append adds lines to the file that MEK_MEASURED names; without it to nothing.
func Append(lines ...Line) (err error) {
	name := os.Getenv("MEK_MEASURED")
	if name == "" {
		return nil
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return Write(file, lines...)
}

// Read reads lines.
func Read(r io.Reader) ([]Line, error) {
	var all []Line
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var l Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(all)+1, err)
		}
		all = append(all, l)
	}
	return all, lines.Err()
}

// ReadFiles reads the lines of files, those that are missing excepted.
func ReadFiles(names ...string) ([]Line, error) {
	var all []Line
	for _, name := range names {
		content, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lines, err := Read(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, lines...)
	}
	return all, nil
}
