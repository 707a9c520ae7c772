package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Figures is one line: what one run of one test came to.
type Figures struct {
	Programme    string         `json:"programme"` // F1, F3 … of the fault programme, or S for attacks
	Test         string         `json:"test"`
	Seed         uint64         `json:"seed"`
	Seeds        int            `json:"seeds,omitempty"` // more than one: seeds from Seed on
	Commit       string         `json:"commit"`
	Faults       map[string]int `json:"faults,omitempty"` // by kind
	Operations   int            `json:"operations"`
	Violations   int            `json:"violations"`
	Failed       bool           `json:"failed,omitempty"`
	Unavailable  int64          `json:"unavailable_ms,omitempty"` // the longest stretch without an answer
	Duration     int64          `json:"duration_ms"`
	Outage       *Outage        `json:"outage,omitempty"` // F14 only
	Measurements map[string]any `json:"measurements,omitempty"`
}

// Outage is one row of the public table of faults (F14).
type Outage struct {
	Case      string  `json:"case"`
	Errors    int64   `json:"errors_ms"`    // how long requests failed
	Recovered int64   `json:"recovered_ms"` // from the fault until requests are as fast as before
	Failed    int     `json:"failed"`       // requests
	Retried   int     `json:"retried"`      // of them, still failed after one retry
	Before    float64 `json:"before_ms"`    // a request's median before the fault
	Under     float64 `json:"under_ms"`     // while it lasted
	Verbs     int     `json:"verbs"`        // commands that an operator had to give
}

// append adds the line to a file that several processes write.
func (f Figures) append(name string) error {
	line, err := json.Marshal(f)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n')) // one write: lines never mix
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// Read reads the lines of a file of figures.
func Read(r io.Reader) ([]Figures, error) {
	var all []Figures
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var f Figures
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(all)+1, err)
		}
		all = append(all, f)
	}
	return all, lines.Err()
}
