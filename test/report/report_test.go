package report_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mekcloud/mek/test/report"
)

func TestFiguresOfARun(t *testing.T) {
	name := filepath.Join(t.TempDir(), "figures")
	t.Setenv("MEK_REPORT", name)
	t.Setenv("MEK_COMMIT", "abc")
	t.Setenv("MEK_TEST_SEED", "7")
	for range 2 {
		t.Run("one", func(t *testing.T) {
			r := report.Start(t, "F3", report.Seed(t))
			r.Seeds(3)
			r.Faults(map[string]int{"drop": 2})
			r.Fault("drop", 1)
			r.Operations(5)
			r.Answered(true)
			r.Answered(false)
			r.Answered(true)
			r.Unavailable(0)
		})
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all, err := report.Read(file)
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	f := all[0]
	if f.Programme != "F3" || f.Test != "TestFiguresOfARun/one" || f.Seed != 7 || f.Seeds != 3 || f.Commit != "abc" || f.Faults["drop"] != 3 || f.Operations != 5 || f.Failed {
		t.Errorf("%+v", f)
	}
}

func TestLength(t *testing.T) {
	if got := report.Length(t, 5); got != 5 {
		t.Error(got)
	}
	t.Setenv("MEK_SOAK", "90s")
	if got := report.Length(t, 5).Seconds(); got != 90 {
		t.Error(got)
	}
}

func TestMetric(t *testing.T) {
	const page = "# HELP a_total words a_total 7\na_total{host=\"x\",why=\"u\"} 2\na_total{host=\"y\",why=\"u\"} 3\na_total_more{host=\"x\"} 50\nb 1e1\n"
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{{"a_total", nil, 5}, {"a_total", []string{`host="x"`}, 2}, {"a_total", []string{`why="u"`, `host="y"`}, 3}, {"b", nil, 10}, {"c", nil, 0}, {"a_total", []string{`host="z"`}, 0}} {
		if got, err := report.Metric(strings.NewReader(page), c.name, c.labels...); err != nil || got != c.want {
			t.Errorf("%s %v: %v %v, want %v", c.name, c.labels, got, err, c.want)
		}
	}
}
