package servers

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/config"
)

// TestFurtherServer makes a second server as docs/operations.md says: the keys
// and settings are copied, then "mek up --server-only".
func TestFurtherServer(t *testing.T) {
	if testing.Short() || os.Getenv("MEK_BINARY") == "" {
		t.Skip("processes of the built binary: make test")
	}
	if os.Geteuid() != 0 {
		t.Skip("mek up makes a user: this needs root")
	}
	w := newWorld(t)
	old := w.servers[1]
	old.kill()
	dir, err := os.MkdirTemp("/var/lib", "mek-test-") // the server's user must be able to enter it
	w.must(err)
	data := filepath.Join(dir, "data")
	mek := func(args ...string) ([]byte, error) {
		c := exec.Command(os.Getenv("MEK_BINARY"), append(args, "--data-dir", data)...)
		c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
		return c.CombinedOutput()
	}
	t.Cleanup(func() {
		if out, err := mek("uninstall", "--purge", "--yes", "--quiet"); err != nil {
			t.Errorf("uninstall: %v: %s", err, out)
		}
		w.must(os.RemoveAll(dir))
	})
	w.must(os.Chmod(dir, 0o755))
	w.must(os.MkdirAll(data, 0o755))
	settings, err := os.ReadFile(old.conf.Path(config.OperatorFile))
	w.must(err)
	w.must(os.WriteFile(filepath.Join(data, config.OperatorFile), []byte(withoutSimulation(string(settings), filepath.Join(dir, "shared"))), 0o600))
	if out, err := mek("up", "--server-only"); err == nil {
		t.Fatalf("it came up without the keys: %s", out)
	}
	for _, sub := range []string{"secrets", "tls"} {
		w.must(os.CopyFS(filepath.Join(data, sub), os.DirFS(w.servers[0].conf.Path(sub))))
	}
	w.must(os.Chmod(filepath.Join(data, "secrets"), 0o700))
	if out, err := mek("up", "--server-only"); err != nil {
		t.Fatalf("up: %v: %s", err, out)
	}
	w.settled(30 * time.Second) // at both, with the same users
	c := &http.Client{Timeout: 10 * time.Second}
	token, err := login(c, "http://"+old.conf.Listen)
	w.must(err)
	if a, err := ask(c, http.MethodGet, "http://"+w.servers[0].conf.Listen+"/identity/v3/users", token, "", nil); err != nil || a.status != http.StatusOK {
		t.Errorf("a token of the second at the first: %v %d", err, a.status)
	}
}
