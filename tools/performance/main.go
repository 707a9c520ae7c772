// Command performance writes docs/performance.md from the lines that "make
// limits", "make bench" and "make scale" left behind (package test/measured).
// Nothing in that page is typed by hand.
//
//	performance [-out docs/performance.md] LINES...
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/mekcloud/mek/test/measured"
)

func main() {
	out := flag.String("out", "docs/performance.md", "page to write")
	flag.Parse()
	lines, err := measured.ReadFiles(flag.Args()...)
	if err == nil {
		err = os.WriteFile(*out, page(lines), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(1)
	}
}
