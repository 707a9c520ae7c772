package main

import (
	"testing"

	"github.com/mekcloud/mek/test/golden"
)

func TestPage(t *testing.T) {
	got, err := render([]string{"testdata/figures"}, "a machine")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "testdata/page.md", got)
	if _, err := render([]string{"testdata/none"}, ""); err == nil {
		t.Error("no figures, no page")
	}
}
