package packages

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/ledger"
)

func TestWhatIsInstalledIsRecordedBefore(t *testing.T) {
	dir := t.TempDir()
	led, err := ledger.Open(filepath.Join(dir, "ledger"), clock.Real{})
	if err != nil {
		t.Fatal(err)
	}
	// An apt-get that looks into the ledger at the moment it is called.
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\ngrep -q some-package " + filepath.Join(dir, "ledger") + " || exit 3\necho \"$@\" >> " + filepath.Join(dir, "calls") + "\n"
	if err := os.WriteFile(filepath.Join(bin, "apt-get"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	if os.Geteuid() != 0 {
		t.Skip("policy-rc.d needs root")
	}
	_, before := os.Stat(policyFile)
	if err := Install(t.Context(), []string{"some-package"}, led, io.Discard); err != nil {
		t.Fatal(err)
	}
	live, err := led.Live()
	if err != nil || len(live) != 1 || live[0].Kind != ledger.Package {
		t.Fatalf("%+v %v", live, err)
	}
	if _, after := os.Stat(policyFile); (before == nil) != (after == nil) {
		t.Fatalf("policy-rc.d: %v before, %v after", before, after)
	}
}

func TestProgramsAreFoundWhereverTheyLie(t *testing.T) {
	if !programExists("/usr/sbin/ls") { // lies in /usr/bin or /bin
		t.Fatal("ls was not found")
	}
	if programExists("/usr/bin/no-such-program") {
		t.Fatal("found what is not there")
	}
}
