// Command reliability writes docs/reliability.md from the figures that fault
// tests left behind (package test/report). Nothing in that page is typed by hand.
//
//	reliability [-out docs/reliability.md] FIGURES...
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"

	"github.com/mekcloud/mek/test/measured"
	"github.com/mekcloud/mek/test/report"
)

func main() {
	out := flag.String("out", "docs/reliability.md", "page to write")
	flag.Parse()
	page, err := render(flag.Args(), measured.Machine())
	if err == nil {
		err = os.WriteFile(*out, page, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "reliability:", err)
		os.Exit(1)
	}
}

func render(files []string, machine string) ([]byte, error) {
	var all []report.Figures
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		figures, err := report.Read(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, figures...)
	}
	return page(all, machine), nil
}
