// Package workertest gives tests a program that can be an image worker. A test
// program is none: started again it would run its tests again.
package workertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// Program builds the worker program, once per process, and gives its path. The
// file stays in the system's folder for temporary files, under one name.
var Program = sync.OnceValues(build)

func build() (string, error) {
	dir, err := os.MkdirTemp("", "mek-image-worker-")
	if err != nil {
		return "", fmt.Errorf("worker program: %w", err)
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "mek")
	cmd := exec.Command("go", "build", "-o", made, "github.com/mekcloud/mek/internal/image/worker/workertest/mek")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("worker program: %w: %s", err, out)
	}
	path := filepath.Join(os.TempDir(), fmt.Sprintf("mek-image-worker-%d", os.Getuid()))
	if err := os.Rename(made, path); err != nil {
		return "", fmt.Errorf("worker program: %w", err)
	}
	return path, nil
}
