package scale

import (
	"os"
	"runtime/pprof"
	"syscall"
	"testing"
	"time"
)

// costs begins to count what the process uses, and gives what ends that and tells
// it for each of so many servers. With MEK_SCALE_PROFILE=file it leaves a profile
// of the processors, too, in file.LOAD: of the load alone, not of the seed.
func (f *field) costs(load string) func(servers int) {
	f.t.Helper()
	stop := profile(f.t, load)
	before, spent := f.cloud.DB.Counts(), processorTime(f.t)
	return func(servers int) {
		n, after := float64(servers), f.cloud.DB.Counts()
		f.t.Logf("%s: of the whole process, readers and all, for each server: %.2f ms of processors, %.0f statements, %.1f transactions, %.2f commits",
			load, (processorTime(f.t)-spent).Seconds()*1000/n, float64(after.Queries-before.Queries)/n, float64(after.Writes-before.Writes)/n, float64(after.Commits-before.Commits)/n)
		stop()
	}
}

func profile(t testing.TB, load string) (stop func()) {
	t.Helper()
	path := os.Getenv("MEK_SCALE_PROFILE")
	if path == "" {
		return func() {}
	}
	to, err := os.Create(path + "." + load)
	if err == nil {
		err = pprof.StartCPUProfile(to)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		pprof.StopCPUProfile()
		if err := to.Close(); err != nil {
			t.Error(err)
		}
	}
}

func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
