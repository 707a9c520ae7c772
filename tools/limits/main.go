// Command limits measures what this machine can do at best, beside which
// "make bench" puts what Mek does: one durable commit, one bare query, the bare
// SQL of a list and its JSON, the hash of a password, the disk, the checksums,
// sendfile and TCP over loopback, a bare HTTP server, nginx, and QEMU by hand. It prints a line of
// package test/measured for each.
//
//	limits [-dir DIR] [-seconds N] [-guest out/guest/guest.qcow2] [-only password,commit]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/test/measured"
)

// machine gives the measurements their place and time.
type machine struct {
	dir    string
	clock  clock.Clock
	each   time.Duration
	rounds int    // at least
	guest  string // image of the tiny guest; empty: no QEMU by hand
	only   []string
	out    []measured.Line
}

func main() {
	dir := flag.String("dir", os.TempDir(), "on the disk to measure")
	seconds := flag.Float64("seconds", 1, "for each measurement")
	guest := flag.String("guest", "", "image of the tiny guest; without it QEMU is not measured")
	only := flag.String("only", "", "names of measurements, with commas, instead of all")
	address := flag.String("answer", "", "only answer requests there, for another process of this command")
	flag.Parse()
	if *address != "" {
		fmt.Fprintln(os.Stderr, "limits:", answer(*address, *dir))
		os.Exit(1)
	}
	m := &machine{guest: *guest, clock: clock.Real{}, each: time.Duration(*seconds * float64(time.Second)), rounds: 5}
	if *only != "" {
		m.only = strings.Split(*only, ",")
	}
	if err := m.run(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		os.Exit(1)
	}
}

// kinds are the measurements by what they need.
var kinds = []struct {
	measure func(*machine, context.Context) error
	names   []string
}{
	{(*machine).database, []string{"commit", "commit-paced", "commit-64", "query", "page"}},
	{(*machine).answers, []string{"list-1000", "candidates-1000"}},
	{(*machine).hashes, []string{"password", "password-commit", "md5", "md5-sha512"}},
	{(*machine).disk, []string{"disk-write"}},
	{(*machine).network, []string{"sendfile", "loopback"}},
	{(*machine).bare, []string{"bare-http", "commit-asked"}},
	{(*machine).nginx, []string{"nginx-4k"}},
	{(*machine).qemu, []string{"qemu-user-space", "qemu-20-at-once"}},
}

func (m *machine) run(dir string) (err error) {
	if m.dir, err = os.MkdirTemp(dir, "mek-limits-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(m.dir)) }()
	for _, k := range kinds {
		if !slices.ContainsFunc(k.names, m.wanted) {
			continue
		}
		if err := k.measure(m, context.Background()); err != nil {
			return err
		}
	}
	return measured.Write(os.Stdout, m.out...)
}

func (m *machine) wanted(name string) bool { return m.only == nil || slices.Contains(m.only, name) }

// time calls fn until the time is up, five times at least, and notes how long
// a call takes, in milliseconds.
func (m *machine) time(name, how string, fn func() error) error {
	return m.sample(name, "ms", how, func() (float64, error) {
		began := m.clock.Now()
		err := fn()
		return float64(m.clock.Now().Sub(began).Nanoseconds()) / 1e6, err
	})
}

// absent notes what cannot be measured here.
func (m *machine) absent(name, unit, why string) {
	m.out = append(m.out, measured.Line{Name: "limit/" + name, Unit: unit, Note: "not measured: " + why})
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
	if !m.wanted(name) {
		return nil
	}
	var all []float64
	for end := m.clock.Now().Add(m.each); len(all) < m.rounds || m.clock.Now().Before(end); {
		v, err := fn()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, v)
	}
	m.out = append(m.out, measured.Line{Name: "limit/" + name, Unit: unit, Spread: measured.SpreadOf(all), Samples: len(all), Note: how})
	return nil
}
