// Command limits measures what this machine can do at best, beside which
// "make bench" puts what Mek does: one durable commit, one bare query, a page
// of rows as JSON, the hash of a password, the disk, the checksums, sendfile
// over loopback. It prints a JSON object by name: value, unit, spread.
//
//	limits [-dir DIR] [-seconds N]
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// limit is a measurement: the median of its samples, with the least and the
// greatest.
type limit struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
	Unit  string  `json:"unit"`
	How   string  `json:"how"`
}

// machine gives the measurements their place and time.
type machine struct {
	dir   string
	clock clock.Clock
	each  time.Duration
	out   []limit
}

func main() {
	dir := flag.String("dir", os.TempDir(), "on the disk to measure")
	seconds := flag.Float64("seconds", 1, "for each measurement")
	flag.Parse()
	if err := run(*dir, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		os.Exit(1)
	}
}

func run(dir string, seconds float64) (err error) {
	own, err := os.MkdirTemp(dir, "mek-limits-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(own)) }()
	m := &machine{dir: own, clock: clock.Real{}, each: time.Duration(seconds * float64(time.Second))}
	for _, measure := range []func(context.Context) error{m.database, m.hashes, m.disk, m.network} {
		if err := measure(context.Background()); err != nil {
			return err
		}
	}
	enc := json.NewEncoder(os.Stdout)
	enc.SetIndent("", " ")
	return enc.Encode(m.out)
}

// time calls fn until the time is up, at least five times, and notes how long
// a call takes, in milliseconds.
func (m *machine) time(name, how string, fn func() error) error {
	return m.sample(name, "ms", how, func() (float64, error) {
		began := m.clock.Now()
		err := fn()
		return float64(m.clock.Now().Sub(began).Nanoseconds()) / 1e6, err
	})
}

// rate is time for a fixed amount of bytes, in MiB/s.
func (m *machine) rate(name, how string, bytes int64, fn func() error) error {
	return m.sample(name, "MiB/s", how, func() (float64, error) {
		began := m.clock.Now()
		err := fn()
		return float64(bytes) / (1 << 20) / m.clock.Now().Sub(began).Seconds(), err
	})
}

func (m *machine) sample(name, unit, how string, fn func() (float64, error)) error {
	var all []float64
	for end := m.clock.Now().Add(m.each); len(all) < 5 || m.clock.Now().Before(end); {
		v, err := fn()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, v)
	}
	slices.Sort(all)
	m.out = append(m.out, limit{name, all[len(all)/2], all[0], all[len(all)-1], unit, how})
	return nil
}
