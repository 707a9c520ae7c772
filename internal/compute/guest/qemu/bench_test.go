package qemu

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/guesttest"
	"github.com/mekcloud/mek/internal/id"
)

// BenchmarkUserSpace compares, in interleaved pairs, the time from Ensure until
// the guest's kernel starts its first program with the time from executing the
// same QEMU command by hand, on a disk that is there already.
//
//	go test -run - -bench UserSpace -benchtime 20x ./internal/compute/guest/qemu
func BenchmarkUserSpace(b *testing.B) {
	site := guesttest.NewSite(b)
	d := open(b, site)
	image := site.AddImage(filepath.Join(guesttest.GuestFolder(b), "guest.qcow2"), "qcow2")
	if _, err := d.Capabilities(b.Context()); err != nil {
		b.Fatal(err)
	}
	byDriver(b, d, image) // fetches the image
	var ours, theirs, late []time.Duration
	for b.Loop() {
		o, t := byDriver(b, d, image), byHand(b, d, image)
		ours, theirs, late = append(ours, o), append(theirs, t), append(late, o-t)
	}
	for name, times := range map[string][]time.Duration{"ensure": ours, "by-hand": theirs, "late": late} {
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, name+"-p50-ms")
	}
	b.ReportMetric(0, "ns/op")
	if err := d.Close(); err != nil {
		b.Error(err)
	}
}

func benchSpec(image string) guest.Spec {
	spec := guesttest.Spec(image, "qcow2")
	spec.NICs = []guest.NIC{{PortID: id.New(), MAC: "fa:16:3e:00:00:01"}}
	spec.ConfigDrive = true
	spec.Metadata = guest.Metadata{MetaData: []byte(`{"uuid":"` + spec.ID + `"}`)}
	return spec
}

func byDriver(b *testing.B, d *Driver, image string) time.Duration {
	b.Helper()
	spec := benchSpec(image)
	start := time.Now()
	if _, err := d.Ensure(b.Context(), spec); err != nil {
		b.Fatal(err)
	}
	took := awaitSign(b, filepath.Join(d.guestsDir(), spec.ID, consoleFile), start)
	if err := d.Destroy(b.Context(), spec.ID); err != nil {
		b.Fatal(err)
	}
	return took
}

func byHand(b *testing.B, d *Driver, image string) time.Duration {
	b.Helper()
	spec := benchSpec(image)
	m, err := d.enter(spec.ID)
	if err == nil {
		err = m.note(false, func(r *record) { r.Spec = &spec })
	}
	if err != nil {
		b.Fatal(err)
	}
	p, err := m.plan(b.Context(), d.caps)
	if err != nil {
		b.Fatal(err)
	}
	files := &bundle{}
	args := slices.DeleteFunc(p.args(files), func(a string) bool { return a == "-S" })
	cmd := exec.Command(d.cfg.Binary, args...)
	cmd.ExtraFiles, cmd.Stderr = files.files, os.Stderr
	start := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	took := awaitSign(b, filepath.Join(m.dir, consoleFile), start)
	_, _ = cmd.Process.Kill(), cmd.Wait()
	p.close()
	if err := d.Destroy(b.Context(), spec.ID); err != nil {
		b.Fatal(err)
	}
	return took
}

func awaitSign(b *testing.B, path string, start time.Time) time.Duration {
	b.Helper()
	for time.Since(start) < time.Minute {
		if log, err := os.ReadFile(path); err == nil && bytes.Contains(log, reached[0]) {
			return time.Since(start)
		}
		time.Sleep(time.Millisecond)
	}
	b.Fatal("the guest never came to its user space")
	return 0
}
