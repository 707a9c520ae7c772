package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/pprof/profile"
)

// TestSharesOfAProfile counts what four stacks took, innermost function first.
func TestSharesOfAProfile(t *testing.T) {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}}
	stack := func(spent int64, functions ...string) {
		s := &profile.Sample{Value: []int64{1, spent}}
		for _, name := range functions {
			f := &profile.Function{ID: uint64(len(p.Function) + 1), Name: name}
			at := &profile.Location{ID: uint64(len(p.Location) + 1), Line: []profile.Line{{Function: f}}}
			p.Function, p.Location, s.Location = append(p.Function, f), append(p.Location, at), append(s.Location, at)
		}
		p.Sample = append(p.Sample, s)
	}
	stack(10, "runtime.memmove", "modernc.org/sqlite/lib.x", "github.com/mekcloud/mek/internal/db.(*DB).Exec")
	stack(20, "internal/runtime/syscall.Syscall6", "internal/poll.(*FD).Write", "net.(*conn).Write", "net/http.x")
	stack(30, "runtime.mallocgc", "github.com/mekcloud/mek/internal/compute/servers.show")
	stack(40, "runtime.futex")
	file := filepath.Join(t.TempDir(), "cpu.pprof")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Write(out); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	const rounds = `{"scenario":"x","conc":1,"clouds":{"http":[{"done":1,"stages":[{"name":"total","p50_ms":7}]}],"https":[{"done":1,"stages":[{"name":"total","p50_ms":8}]}]}}`
	got := lines(t, rounds, "bench", "-profile", file)
	want := map[string]float64{"database": 0.1, "HTTP": 0.2, "compute": 0.3, "runtime": 0.4}
	for name, share := range want {
		if got["x http"].Where[name] != share {
			t.Errorf("%s: %v, want %v", name, got["x http"].Where[name], share)
		}
	}
	if len(got["x http"].Where) != len(want) || got["x https"].Where != nil {
		t.Errorf("%v, over TLS %v", got["x http"].Where, got["x https"].Where)
	}
	if l := lines(t, rounds, "bench", "-profile", file+".missing")["x http"]; l.Value != 7 || l.Where != nil {
		t.Errorf("without a profile: %+v", l)
	}
}
