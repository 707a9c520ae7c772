package worker

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// limitResources sets the limits that survive the exec. output is the longest
// file that may be written, in bytes.
func limitResources(output uint64) error {
	limits := []struct {
		what int
		max  uint64
	}{
		{unix.RLIMIT_CPU, cpuSeconds}, {unix.RLIMIT_FSIZE, output}, {unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_NOFILE, maxOpenFiles}, {unix.RLIMIT_MEMLOCK, 0}, {unix.RLIMIT_MSGQUEUE, 0},
	}
	for _, l := range limits {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.max, Max: l.max}); err != nil {
			return fmt.Errorf("image worker: resource limit %d: %w", l.what, err)
		}
	}
	// Whoever uploads an image waits for it; those who ask for less go first.
	if rank, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil && 20-rank >= lowPriority { // the system call answers 20 less the nice value
		return nil // the server gives way to others itself, and may not ask for more again
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, lowPriority); err != nil {
		return fmt.Errorf("image worker: priority: %w", err)
	}
	return nil
}

// lowPriority is a worker's nice value: a tenth of the weight of who answers requests.
const lowPriority = 10

// become bounds the memory and replaces this process by a program. The two
// belong together: this process may have more already, and must not allocate
// any more once the bounds are set.
func become(program string, argv, env []string) error {
	path, err := unix.BytePtrFromString(program)
	if err != nil {
		return fmt.Errorf("image worker: program: %w", err)
	}
	args, err := syscall.SlicePtrFromStrings(argv)
	if err != nil {
		return fmt.Errorf("image worker: arguments: %w", err)
	}
	vars, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return fmt.Errorf("image worker: environment: %w", err)
	}
	debug.SetGCPercent(-1)
	data, all := &unix.Rlimit{Cur: memory, Max: memory}, &unix.Rlimit{Cur: addressSpace, Max: addressSpace}
	_, _, errno := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_DATA, uintptr(unsafe.Pointer(data)), 0, 0, 0)
	if errno == 0 {
		_, _, errno = unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_AS, uintptr(unsafe.Pointer(all)), 0, 0, 0)
	}
	if errno == 0 {
		_, _, errno = unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&args[0])), uintptr(unsafe.Pointer(&vars[0])))
	}
	return fmt.Errorf("image worker: start the bound process: %w", errno)
}

const (
	readFile = unix.LANDLOCK_ACCESS_FS_READ_FILE
	execute  = unix.LANDLOCK_ACCESS_FS_EXECUTE | readFile
	readTree = execute | unix.LANDLOCK_ACCESS_FS_READ_DIR
)

// landlockRights are all rights on files that a Landlock version knows.
func landlockRights(version int) uint64 {
	rights := uint64(unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1)
	if version >= 2 {
		rights |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= 3 {
		rights |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= 5 {
		rights |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return rights
}

// restrictFiles leaves the calling thread, by Landlock, only the system's
// programs and libraries, its own program, and the image and output it holds.
func restrictFiles() error {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return fmt.Errorf("image worker: this kernel has no Landlock: %w", errno)
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: landlockRights(int(version))}
	if version >= 4 {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("image worker: Landlock rules: %w", errno)
	}
	defer unix.Close(int(set)) // the thread keeps the rules, not the descriptor
	write := uint64(readFile | unix.LANDLOCK_ACCESS_FS_WRITE_FILE)
	if version >= 3 {
		write |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	for fd, rights := range map[int]uint64{inputFD: readFile, outputFD: write, programFD: execute} {
		if err := allow(int(set), fd, rights); err != nil {
			return err
		}
	}
	for path, rights := range map[string]uint64{"/usr": readTree, "/lib": readTree, "/lib64": readTree, "/etc/ld.so.cache": readFile,
		"/dev/null": readFile, "/dev/urandom": readFile} {
		if err := allowPath(int(set), path, rights); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return fmt.Errorf("image worker: Landlock: %w", errno)
	}
	return nil
}

func allowPath(set int, path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil // not every system has every one
	}
	if err != nil {
		return fmt.Errorf("image worker: %s: %w", path, err)
	}
	defer unix.Close(fd) // only named the path
	return allow(set, fd, rights)
}

func allow(set, fd int, rights uint64) error {
	attr := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(set), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("image worker: Landlock rule for descriptor %d: %w", fd, errno)
	}
	return nil
}
