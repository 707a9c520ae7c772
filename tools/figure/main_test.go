package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mekcloud/mek/test/measured"
)

func lines(t *testing.T, input string, args ...string) map[string]measured.Line {
	t.Helper()
	t.Setenv("MEK_COMMIT", "abc")
	var out bytes.Buffer
	if err := run(args, strings.NewReader(input), &out); err != nil {
		t.Fatal(err)
	}
	all, err := measured.Read(&out)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]measured.Line{}
	for _, l := range all {
		byName[strings.TrimSpace(l.Name+" "+l.Transport)] = l
	}
	return byName
}

const turned = `{"scenario":"server-create","conc":8,"clouds":{
 "http":[{"done":5,"cpu_ms_per_op":2,"stages":[{"name":"accepted","p50_ms":2},{"name":"active","p50_ms":50}]},{"done":5,"errors":2,"cpu_ms_per_op":4,"stages":[{"name":"accepted","p50_ms":4},{"name":"active","p50_ms":60}]}],
 "https":[{"done":5,"stages":[{"name":"accepted","p50_ms":5},{"name":"active","p50_ms":55}]}],
 "peer":[{"done":5,"errors":1,"cpu_ms_per_op":90,"stages":[{"name":"accepted","p50_ms":200},{"name":"active","p50_ms":1000}]},{"done":5,"cpu_ms_per_op":100,"stages":[{"name":"accepted","p50_ms":200},{"name":"active","p50_ms":1200}]}]}}`

func TestLinesOfTurns(t *testing.T) {
	got := lines(t, turned, "bench")
	l := got["server-create/accepted http"]
	if l.Value != 3 || l.Least != 2 || l.Most != 4 || l.Peer.Value != 200 || l.Ratio.Value != 75 || l.Ratio.Least != 50 || l.CPU != 3 || l.PeerCPU != 95 ||
		l.Clients != 8 || l.Samples != 10 || l.Errors != 3 || l.Commit != "abc" {
		t.Errorf("%+v", l)
	}
	if l := got["server-create/active http"]; l.Value != 55 {
		t.Errorf("%+v", l)
	}
	if l := got["server-create/accepted https"]; l.Value != 5 || l.Ratio.Value != 40 || l.Ratio.Least != 40 {
		t.Errorf("%+v", l)
	}
	if l := lines(t, strings.Replace(turned, "peer", "nobody", 1), "bench", "-name", "x")["x/active http"]; l.Value != 55 || l.Peer != nil || l.Ratio != nil {
		t.Errorf("%+v", l)
	}
	var out bytes.Buffer
	if err := run([]string{"bench"}, strings.NewReader(`{"scenario":"x"}`), &out); err == nil {
		t.Error("a result without clouds is taken")
	}
}

func TestRatesOfALargeBody(t *testing.T) {
	got := lines(t, `{"scenario":"image-upload","conc":1,"clouds":{"http":[{"done":1,"size_bytes":2097152,"mib_per_s":300,"stages":[{"name":"total","p50_ms":7}]}],
		"peer":[{"done":1,"size_bytes":2097152,"mib_per_s":100,"stages":[{"name":"total","p50_ms":21}]}]}}`, "bench")
	if l := got["image-upload/rate http"]; l.Value != 300 || l.Ratio.Value != 3 || l.Unit != "MiB/s" {
		t.Errorf("%+v", l)
	}
	if l := got["image-upload http"]; l.Ratio.Value != 3 || l.Unit != "ms" {
		t.Errorf("%+v", l)
	}
}

func TestLinesOfGoBenchmarks(t *testing.T) {
	got := lines(t, "goos: linux\nBenchmarkRead-2   \t 100\t 10 ns/op\t 3 B/op\nBenchmarkRead-2 100 30 ns/op 3 B/op\nBenchmarkUserSpace 20 -16.5 late-p50-ms\nPASS\n", "go")
	if l := got["go/Read ns/op"]; l.Value != 20 || l.Least != 10 || l.Most != 30 || l.Samples != 2 {
		t.Errorf("%+v", l)
	}
	if l := got["go/UserSpace late-p50-ms"]; l.Value != -16.5 {
		t.Errorf("%+v", l)
	}
}

func TestLineOfValues(t *testing.T) {
	l := lines(t, "", "value", "-peer", "60", "-note", "three", "start", "s", "1", "2", "3")["start"]
	if l.Value != 2 || l.Ratio.Value != 30 || l.Ratio.Least != 20 || l.Note != "three" || l.Unit != "s" {
		t.Errorf("%+v", l)
	}
}

func TestLinesOfLimits(t *testing.T) {
	got := lines(t, `{"name":"limit/commit","value":2,"least":1,"most":9,"unit":"ms","samples":5,"note":"one row"}
{"name":"limit/password","value":20,"least":20,"most":20,"unit":"ms","samples":2}
{"name":"limit/commit","value":4,"least":3,"most":5,"unit":"ms","samples":7,"note":"one row"}
`, "limits", "-name", "token-issue")
	l := got["beside/token-issue/commit"]
	if l.Value != 3 || l.Least != 2 || l.Most != 4 || l.Samples != 12 || l.Note != "one row" || l.Commit != "abc" || len(got) != 2 {
		t.Errorf("%+v of %d", l, len(got))
	}
}
