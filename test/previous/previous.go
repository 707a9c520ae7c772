package previous

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Build answers the path of the binary and the commit it is of.
func Build(t testing.TB) (binary, commit string) {
	t.Helper()
	if b := os.Getenv("MEK_TEST_PREVIOUS"); b != "" {
		return b, "that of MEK_TEST_PREVIOUS"
	}
	git := func(args ...string) string {
		out, err := exec.Command("git", args...).Output()
		text := strings.TrimSpace(string(out))
		if err != nil || text == "" {
			t.Skipf("git %s: %v: the history is not here; MEK_TEST_PREVIOUS may name a binary of before", strings.Join(args, " "), err)
		}
		return text
	}
	top := git("rev-parse", "--show-toplevel")
	newest := git("-C", top, "log", "-1", "--format=%H", "--diff-filter=A", "--", "internal/db/migrations")
	commit = git("rev-parse", "--verify", newest+"^")
	dir := t.TempDir()
	if out, err := exec.Command("bash", "-o", "pipefail", "-c", `git -C "$0" archive "$1" | tar -x -C "$2"`, top, commit, dir).CombinedOutput(); err != nil {
		t.Fatalf("git archive: %v %s", err, out)
	}
	binary = filepath.Join(t.TempDir(), "mek")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "./cmd/mek")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build of %s: %v %s", commit, err, out)
	}
	return binary, commit
}
