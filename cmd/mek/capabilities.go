package main

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// unneeded are capabilities that an agent never uses: loading modules (the
// supervisor did), raw devices, the clock, kernel logs, audit, reboot, tracing.
// docs/security.md says what it keeps, and why.
var unneeded = []uintptr{
	unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO, unix.CAP_SYS_BOOT, unix.CAP_SYS_TIME, unix.CAP_SYSLOG, unix.CAP_SYS_PACCT, unix.CAP_SYS_TTY_CONFIG,
	unix.CAP_MAC_ADMIN, unix.CAP_MAC_OVERRIDE, unix.CAP_AUDIT_CONTROL, unix.CAP_AUDIT_READ, unix.CAP_AUDIT_WRITE, unix.CAP_WAKE_ALARM,
	unix.CAP_BLOCK_SUSPEND, unix.CAP_LINUX_IMMUTABLE, unix.CAP_LEASE, unix.CAP_PERFMON, unix.CAP_BPF, unix.CAP_CHECKPOINT_RESTORE,
}

// dropCapabilities takes the unneeded ones out of the bounding set, so that
// neither this process nor anything it starts can get them back.
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
	return nil
}
