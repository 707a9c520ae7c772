package qemu

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a process may do below a place. Everything else of Landlock's first
// version is denied, wherever it is; descriptors that are open already are not
// affected, and are all that a guest's files need.
const (
	mayRead = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	mayRun  = mayRead | unix.LANDLOCK_ACCESS_FS_EXECUTE
	mayUse  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE
	handled = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
)

// places are what QEMU itself needs: programs, libraries and firmware, and the
// kernel's own files. Not the rest of /etc, no home, no data of anybody.
func places(binary string) map[string]uint64 {
	p := map[string]uint64{
		"/usr": mayRun, "/lib": mayRun, "/lib64": mayRun, "/bin": mayRun, "/proc": mayRead, "/sys": mayRead,
		"/etc/ld.so.cache": unix.LANDLOCK_ACCESS_FS_READ_FILE, "/etc/localtime": unix.LANDLOCK_ACCESS_FS_READ_FILE,
		"/dev/null": mayUse, "/dev/urandom": mayUse, "/dev/random": mayUse, kvmDevice: mayUse,
	}
	if prefix := filepath.Dir(filepath.Dir(binary)); prefix != "/" {
		p[prefix] = mayRun
	}
	return p
}

// landlocked tells whether the kernel has Landlock.
func landlocked() bool {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return errno == 0 && version >= 1
}

// restrict confines the calling thread, and what it forks, to places for good.
// The caller has locked the thread and lets it end. Where the kernel has no
// Landlock nothing happens: user id and seccomp are the other walls.
func restrict(binary string) error {
	if !landlocked() {
		return nil
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: handled}
	const firstVersion = unsafe.Sizeof(attr.Handled_access_fs) // what is behind it is of later ones
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), firstVersion, 0)
	if errno != 0 {
		return fmt.Errorf("begin to confine a process: %w", errno)
	}
	defer unix.Close(int(set))
	for path, access := range places(binary) {
		if err := allow(int(set), path, access); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("confine a process: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("confine a process: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return fmt.Errorf("confine a process: %w", errno)
	}
	return nil
}

func allow(set int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
