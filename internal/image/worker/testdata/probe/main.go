// Probe stands in for the worker's program: bound like it, it tries what a
// worker must not be able to do and reports each refusal.
package main

import (
	"encoding/json"
	"os"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/worker"
)

func main() {
	if os.Args[2] != "inspect" {
		os.Exit(worker.Main(os.Args[2:]))
	}
	did := map[string]string{}
	try := func(deed string, err error) {
		if err != nil {
			did[deed] = err.Error()
		}
	}
	f := os.NewFile(3, "image")
	_, err := f.ReadAt(make([]byte, 512), 0)
	try("read image", err)
	_, err = f.WriteAt([]byte("x"), 0)
	try("write image", err)
	_, err = os.ReadFile("/etc/passwd")
	try("read /etc/passwd", err)
	_, err = os.ReadFile("/proc/1/environ")
	try("read /proc/1/environ", err)
	_, err = os.ReadDir("/")
	try("list /", err)
	try("write /tmp", os.WriteFile("/tmp/probe", nil, 0o600))
	_, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	try("socket", err)
	try("ptrace", unix.PtraceAttach(1))
	try("user namespace", unix.Unshare(unix.CLONE_NEWUSER))
	_, err = unix.Mmap(-1, 0, 2<<30, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	try("2 GiB", err)
	_, err = unix.Mmap(-1, 0, 2<<30, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	try("reserve 2 GiB", err)
	if n, _ := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); n == 1 && os.Getuid() != 0 {
		did["privileges"] = "none"
	}
	try("exec", forbidden())
	text, err := json.Marshal(did)
	if err != nil {
		os.Exit(1)
	}
	if json.NewEncoder(os.Stdout).Encode(image.Inspection{Format: image.Raw, Problem: string(text)}) != nil {
		os.Exit(1)
	}
}

// forbidden runs the last step of the real worker, then tries to start a program.
func forbidden() error {
	stdout := os.Stdout
	os.Stdout = os.Stderr // the real worker answers here
	defer func() { os.Stdout = stdout }()
	if worker.Main([]string{"probe", "-"}) != 0 {
		return nil
	}
	return unix.Exec("/proc/self/fd/5", []string{"mek"}, nil)
}
