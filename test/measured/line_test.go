package measured

import (
	"path/filepath"
	"testing"
)

func TestLinesInAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lines")
	if err := Append(Line{Name: "nowhere"}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MEK_MEASURED", name)
	t.Setenv("MEK_COMMIT", "abc")
	t.Setenv("MEK_COMMAND", "make it")
	for i := range 2 {
		if err := Append(Line{Name: "x", Spread: SpreadOf([]float64{3, 1, float64(i)}), Unit: "ms"}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := ReadFiles(name, name+".missing")
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	if l := all[1]; l.Value != 1 || l.Least != 1 || l.Most != 3 || l.Commit != "abc" || l.Command != "make it" || l.Machine == "" || l.At == "" {
		t.Errorf("%+v", l)
	}
}

func TestSpread(t *testing.T) {
	if got := SpreadOf([]float64{4, 1, 2, 3}); got != (Spread{2.5, 1, 4}) {
		t.Error(got)
	}
	if got := SpreadOf(nil); got != (Spread{}) {
		t.Error(got)
	}
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	if got := Percentile(hundred, 99); got != 99 {
		t.Error(got)
	}
}
