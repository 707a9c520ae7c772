package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/mekcloud/mek/test/measured"
)

var update = flag.Bool("update", false, "write the golden page anew")

// TestPage compares the page of a few lines, of which some keep a promise, some
// do not, and most are missing, with the reviewed one.
func TestPage(t *testing.T) {
	lines, err := measured.ReadFiles(filepath.Join("testdata", "lines.jsonl"), "missing.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "page.md")
	got := page(lines)
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the page is another than %s (-update writes it):\n%s", golden, got)
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.18781: "0.188", 12.345: "12.3", 99.96: "100", 1234567.8: "1,234,568", -16.25: "-16.2", -1234: "-1,234", 100: "100"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
