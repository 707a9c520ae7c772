package main

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// unneeded are capabilities that an agent never uses: loading modules (the
// supervisor did), raw devices, the clock, kernel logs, audit, reboot, tracing,
// device nodes, other roots and capabilities of files (what a sandbox does of
// these it does inside a user namespace, where it has them anew), messages and
// memory that System V's users share.
// docs/security.md says what it keeps, and why.
var unneeded = []uintptr{
	unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO, unix.CAP_SYS_BOOT, unix.CAP_SYS_TIME, unix.CAP_SYSLOG, unix.CAP_SYS_PACCT, unix.CAP_SYS_TTY_CONFIG,
	unix.CAP_MAC_ADMIN, unix.CAP_MAC_OVERRIDE, unix.CAP_AUDIT_CONTROL, unix.CAP_AUDIT_READ, unix.CAP_AUDIT_WRITE, unix.CAP_WAKE_ALARM,
	unix.CAP_BLOCK_SUSPEND, unix.CAP_LINUX_IMMUTABLE, unix.CAP_LEASE, unix.CAP_PERFMON, unix.CAP_BPF, unix.CAP_CHECKPOINT_RESTORE,
	unix.CAP_MKNOD, unix.CAP_SYS_CHROOT, unix.CAP_SETFCAP, unix.CAP_NET_BROADCAST, unix.CAP_IPC_OWNER,
}

// dropCapabilities takes the unneeded ones from this process, and out of the
// bounding set, so that nothing it starts can get them back.
func dropCapabilities() error {
	for _, c := range unneeded {
		_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0)
		switch {
		case errno == 0, errors.Is(errno, syscall.EINVAL): // EINVAL: this kernel does not know the capability
		case errors.Is(errno, syscall.EPERM):
			return nil // not root: there is nothing to drop
		case errors.Is(errno, syscall.ENOTSUP):
			return nil // built with cgo, as only a developer does: threads cannot be reached from Go
		default:
			return fmt.Errorf("drop capability %d: %w", c, errno)
		}
	}
	return dropPermitted()
}

// dropPermitted takes them from what the process may do itself: the bounding set
// counts for programs that are started only.
func dropPermitted() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	for _, c := range unneeded {
		sets[c/32].Effective &^= 1 << (c % 32)
		sets[c/32].Permitted &^= 1 << (c % 32)
		sets[c/32].Inheritable &^= 1 << (c % 32)
	}
	_, _, errno := syscall.AllThreadsSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets[0])), 0)
	if errno != 0 && !errors.Is(errno, syscall.ENOTSUP) { // as above
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	return nil
}

// noCore keeps secrets in memory out of files: neither this process nor what it
// starts leaves a core dump. One byte, not none: a kernel that hands dumps to a
// program does so at 0, too.
func noCore() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1, Max: 1}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	return nil
}

// closeMemory keeps other processes of the same user from reading this one's
// memory: OVN's databases and image workers run as the server's user.
func closeMemory() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("close the memory of this process: %w", err)
	}
	return nil
}
