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
	"runtime"
	"slices"
	"strings"

	"github.com/mekcloud/mek/test/report"
)

func main() {
	out := flag.String("out", "docs/reliability.md", "page to write")
	flag.Parse()
	page, err := render(flag.Args(), machine())
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

// machine says what was measured on.
func machine() string {
	field := func(file, key string) string {
		content, err := os.ReadFile(file)
		if err != nil {
			return "unknown" // not Linux
		}
		for line := range strings.Lines(string(content)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
				return strings.TrimSpace(value)
			}
		}
		return "unknown"
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("unknown")
	}
	guests := "guests by emulation" // a device node proves nothing
	if flags := strings.Fields(field("/proc/cpuinfo", "flags")); slices.Contains(flags, "vmx") || slices.Contains(flags, "svm") {
		guests = "guests with KVM if it works"
	}
	return fmt.Sprintf("%d processors (%s), memory %s, Linux %s, %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name"),
		field("/proc/meminfo", "MemTotal"), strings.TrimSpace(string(kernel)), guests)
}
