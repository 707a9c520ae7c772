// Command figure turns what a measurement prints into lines of package
// test/measured. It reads the standard input and prints lines.
//
//	bench turns ... | figure bench -name server-list-1000
//	go test -bench . -count 5 ./... | figure go
//	cat lines of "limits" | figure limits -name token-issue
//	figure value NAME UNIT VALUE... [-peer VALUE]
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/mekcloud/mek/test/measured"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "figure:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("bench, go, limits or value?")
	}
	flags := flag.NewFlagSet("figure", flag.ContinueOnError)
	name := flags.String("name", "", "instead of the scenario's")
	peer := flags.Float64("peer", 0, "the peer's value; less is better")
	profile := flags.String("profile", "", "what the measured process did, in the format of pprof")
	note := flags.String("note", "", "how it was measured")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	var lines []measured.Line
	var err error
	switch args[0] {
	case "bench":
		lines, err = fromBench(in, *name)
	case "go":
		lines, err = fromGo(in)
	case "limits":
		lines, err = fromLimits(in, *name)
	case "value":
		lines, err = fromValues(flags.Args(), *peer)
	default:
		err = fmt.Errorf("what is %q?", args[0])
	}
	if err != nil {
		return err
	}
	where, err := shares(*profile)
	if err != nil {
		return err
	}
	for i := range lines {
		if lines[i].Transport == "http" { // that cloud is the one that is profiled
			lines[i].Where = where
		}
		if *note != "" {
			lines[i].Note = *note
		}
	}
	return measured.Write(out, lines...)
}

func fromValues(args []string, peer float64) ([]measured.Line, error) {
	if len(args) < 3 {
		return nil, errors.New("value NAME UNIT VALUE...")
	}
	var samples []float64
	for _, text := range args[2:] {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		samples = append(samples, v)
	}
	l := measured.Line{Name: args[0], Unit: args[1], Spread: measured.SpreadOf(samples), Samples: len(samples)}
	if peer > 0 && l.Value > 0 {
		l.Peer = &measured.Spread{Value: peer, Least: peer, Most: peer}
		l.Ratio = &measured.Spread{Value: peer / l.Value, Least: peer / l.Most, Most: peer / l.Least}
	}
	return []measured.Line{l}, nil
}
