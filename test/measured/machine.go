package measured

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

// stamp fills in what a line does not say by itself.
func (l *Line) stamp() {
	if l.Commit == "" {
		l.Commit = Commit()
	}
	if l.Command == "" {
		l.Command = os.Getenv("MEK_COMMAND")
	}
	if l.Machine == "" {
		l.Machine = Machine()
	}
	if l.Load == 0 {
		l.Load, _ = strconv.ParseFloat(os.Getenv("MEK_LOAD"), 64) // not said: nothing is known of it
	}
	if l.At == "" {
		l.At = clock.Real{}.Now().UTC().Format(time.RFC3339)
	}
}

// Commit is what was measured: MEK_COMMIT, or what git says of the folder.
func Commit() string {
	if c := os.Getenv("MEK_COMMIT"); c != "" {
		return c
	}
	out, err := exec.CommandContext(context.Background(), "git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// Machine says what was measured on.
func Machine() string {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("unknown")
	}
	guests := "guests by emulation" // a device node proves nothing
	if flags := strings.Fields(field("/proc/cpuinfo", "flags")); slices.Contains(flags, "vmx") || slices.Contains(flags, "svm") {
		guests = "guests with KVM if it works"
	}
	return fmt.Sprintf("%d processors (%s), memory %s, Linux %s, %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name"),
		field("/proc/meminfo", "MemTotal"), strings.TrimSpace(string(kernel)), guests)
}

// field is the value of a line "key: value".
func field(file, key string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return "unknown" // not Linux
	}
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
