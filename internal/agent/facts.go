package agent

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/id"
)

// Measure reads a host's capacity: processors this process may use, memory
// from /proc, and the file system that holds dataDir. The caller adds name,
// address, driver and traits.
func Measure(dataDir string) (hostlink.Facts, error) {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return hostlink.Facts{}, fmt.Errorf("read memory of the host: %w", err)
	}
	mib, err := memoryMiB(raw)
	if err != nil {
		return hostlink.Facts{}, err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dataDir, &fs); err != nil {
		return hostlink.Facts{}, fmt.Errorf("size of the data directory's file system: %w", err)
	}
	return hostlink.Facts{
		Arch: machine(runtime.GOARCH), CPUs: runtime.NumCPU(), MemoryMiB: mib,
		DiskGiB: int(fs.Blocks * uint64(fs.Bsize) >> 30),
	}, nil
}

// memoryMiB finds MemTotal in the text of /proc/meminfo.
func memoryMiB(meminfo []byte) (int, error) {
	lines := bufio.NewScanner(bytes.NewReader(meminfo))
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), "MemTotal:")
		if !ok {
			continue
		}
		number, unit, _ := strings.Cut(strings.TrimSpace(rest), " ")
		kib, err := strconv.ParseUint(number, 10, 52)
		if err != nil || unit != "kB" {
			return 0, fmt.Errorf("MemTotal %q is not a number of kB", rest)
		}
		return int(kib >> 10), nil
	}
	return 0, fmt.Errorf("no MemTotal in /proc/meminfo")
}

// machine is the kernel's word for an architecture of Go.
func machine(arch string) string {
	if name, ok := map[string]string{"amd64": "x86_64", "arm64": "aarch64", "386": "i686"}[arch]; ok {
		return name
	}
	return arch
}

// Identity is the host's UUID, made once and kept in a file of dir.
func Identity(dir string) (string, error) {
	path := filepath.Join(dir, "host-id")
	raw, err := os.ReadFile(path)
	if err == nil {
		if got := strings.TrimSpace(string(raw)); id.Valid(got) {
			return got, nil
		}
		return "", fault.Internalf("%s holds no UUID", path)
	}
	if !os.IsNotExist(err) {
		return "", fmt.Errorf("read host id: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("directory of the host id: %w", err)
	}
	made := id.New()
	if err := writeDurably(path, []byte(made+"\n")); err != nil {
		return "", err
	}
	return made, nil
}

// writeDurably puts a whole file in place or nothing.
func writeDurably(path string, content []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("new file: %w", err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return osDisk{}.Flush(filepath.Dir(path))
}
