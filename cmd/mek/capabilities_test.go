package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// inside names what a process of these tests is to do instead of testing.
const inside = "MEK_TEST_INSIDE"

func TestMain(m *testing.M) {
	switch os.Getenv(inside) {
	case "":
		os.Exit(m.Run())
	case "close":
		closed()
	}
}

// closed closes this process's memory and says what the kernel makes of it.
func closed() {
	err := errors.Join(noCore(), closeMemory())
	var core unix.Rlimit
	err = errors.Join(err, unix.Getrlimit(unix.RLIMIT_CORE, &core))
	dumpable, _, errno := unix.Syscall(unix.SYS_PRCTL, unix.PR_GET_DUMPABLE, 0, 0)
	fmt.Println(err, core.Cur, core.Max, dumpable, errno)
}

// TestMemoryIsClosed (I-30): a process of this program leaves no core dump,
// neither in a file nor to a program, and no other of its user reads its memory.
func TestMemoryIsClosed(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), inside+"=close")
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "<nil> 1 1 0 errno 0\n" {
		t.Errorf("%s%v", out, err)
	}
}
