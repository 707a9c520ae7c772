package packages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/ledger"
)

// need is one program and Debian's package that brings it.
type need struct{ file, pkg string }

// needs of a host that runs guests. Paths, since a PATH may lack /usr/sbin.
var needs = []need{
	{"/usr/bin/qemu-system-x86_64", "qemu-system-x86"},
	{"/usr/bin/qemu-img", "qemu-utils"},
	{"/usr/sbin/ovs-vswitchd", "openvswitch-switch"},
	{"/usr/bin/ovn-northd", "ovn-central"},
	{"/usr/bin/ovn-controller", "ovn-host"},
	{"/usr/bin/bwrap", "bubblewrap"},
	{"/usr/sbin/nft", "nftables"},
	{"/usr/sbin/ip", "iproute2"},
	{"/usr/bin/ssh", "openssh-client"},
}

// units that the packages would run beside ours.
var units = []string{"openvswitch-switch.service", "ovs-vswitchd.service", "ovsdb-server.service", "ovn-central.service", "ovn-host.service",
	"ovn-northd.service", "ovn-controller.service", "ovn-ovsdb-server-nb.service", "ovn-ovsdb-server-sb.service"}

// Missing lists the packages whose programs are not there.
func Missing() []string {
	var out []string
	for _, n := range needs {
		if !programExists(n.file) {
			out = append(out, n.pkg)
		}
	}
	return out
}

// programExists also looks where a machine with a merged or other layout has it.
func programExists(path string) bool {
	for _, dir := range []string{filepath.Dir(path), "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if fi, err := os.Stat(filepath.Join(dir, filepath.Base(path))); err == nil && fi.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

// ErrNoManager means that this system has no package manager that we know.
var ErrNoManager = errors.New("no apt-get here: install the packages by hand")

// Install installs packages, recording each before. What apt-get says goes to log.
func Install(ctx context.Context, names []string, led *ledger.Ledger, log io.Writer) error {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return ErrNoManager
	}
	for _, name := range names {
		if err := led.Record(ledger.Change{Kind: ledger.Package, Name: name}); err != nil {
			return err
		}
	}
	restore, err := keepServicesDown(led)
	if err != nil {
		return err
	}
	err = aptInstall(ctx, apt, names, log)
	if undo := restore(); err == nil {
		err = undo
	}
	if err != nil {
		return err
	}
	return disableUnits(ctx, log)
}

func aptInstall(ctx context.Context, apt string, names []string, log io.Writer) error {
	args := slices.Concat([]string{"install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=600"}, names)
	if err := run(ctx, log, apt, args...); err == nil {
		return nil
	}
	// Package lists may be missing or old: fetch them, then once more.
	if err := run(ctx, log, apt, "update", "-o", "DPkg::Lock::Timeout=600"); err != nil {
		return fmt.Errorf("fetch package lists: %w", err)
	}
	if err := run(ctx, log, apt, args...); err != nil {
		return fmt.Errorf("install %s: %w", strings.Join(names, " "), err)
	}
	return nil
}

const policyFile = "/usr/sbin/policy-rc.d"

// keepServicesDown makes package scripts start nothing until restore is called.
// A policy that is there already is the operator's and stays.
func keepServicesDown(led *ledger.Ledger) (restore func() error, err error) {
	if _, err := os.Stat(policyFile); err == nil {
		return func() error { return nil }, nil
	}
	if err := led.Record(ledger.Change{Kind: ledger.File, Name: policyFile}); err != nil {
		return nil, err
	}
	const forbidden = "#!/bin/sh\n# made by mek up while it installs packages\nexit 101\n"
	if err := os.WriteFile(policyFile, []byte(forbidden), 0o755); err != nil {
		return nil, fmt.Errorf("keep services from starting: %w", err)
	}
	return func() error {
		if err := os.Remove(policyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", policyFile, err)
		}
		return led.Forget(ledger.File, policyFile)
	}, nil
}

// disableUnits keeps the packages' own services from starting at the next boot.
func disableUnits(ctx context.Context, log io.Writer) error {
	systemctl, err := exec.LookPath("systemctl")
	if err != nil {
		return nil
	}
	for _, u := range units {
		if _, err := os.Stat(filepath.Join("/lib/systemd/system", u)); err != nil {
			continue
		}
		if err := run(ctx, log, systemctl, "disable", u); err != nil {
			return fmt.Errorf("disable %s: %w", u, err)
		}
	}
	return nil
}

func run(ctx context.Context, log io.Writer, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", filepath.Base(program), args[0], err)
	}
	return nil
}
