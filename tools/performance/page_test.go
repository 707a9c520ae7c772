package main

import (
	"path/filepath"
	"testing"

	"github.com/mekcloud/mek/test/golden"
	"github.com/mekcloud/mek/test/measured"
)

// TestPage compares the page of a few lines, of which some keep a promise, some
// do not, and most are missing, with the reviewed one.
func TestPage(t *testing.T) {
	lines, err := measured.ReadFiles(filepath.Join("testdata", "lines.jsonl"), "missing.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", "page.md"), page(lines))
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.18781: "0.188", 12.345: "12.3", 99.96: "100", 1234567.8: "1,234,568", -16.25: "-16.2", -1234: "-1,234", 100: "100"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
