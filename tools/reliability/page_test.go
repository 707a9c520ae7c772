package main

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden page")

func TestPage(t *testing.T) {
	got, err := render([]string{"testdata/figures"}, "a machine")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/page.md"
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
		t.Errorf("the page differs from %s:\n%s", golden, got)
	}
	if _, err := render([]string{"testdata/none"}, ""); err == nil {
		t.Error("no figures, no page")
	}
}
