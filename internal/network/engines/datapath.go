package engines

import (
	"context"
	"os"
)

// KernelDatapath tells whether the kernel forwards for Open vSwitch, loading
// the module if that is possible, and why not otherwise. Ask once at start; it
// is a fact of the host.
func KernelDatapath(ctx context.Context) (ok bool, reason string) {
	const module = "/sys/module/openvswitch"
	if _, err := os.Stat(module); err == nil {
		return true, "module openvswitch is loaded"
	}
	modprobe, err := program("modprobe")
	if err != nil {
		return false, "no program modprobe to load the module openvswitch"
	}
	for _, name := range []string{"openvswitch", "geneve"} {
		if err := run(ctx, modprobe, name); err != nil {
			return false, "module " + name + " cannot be loaded"
		}
	}
	if _, err := os.Stat(module); err != nil {
		return false, "module openvswitch did not load"
	}
	return true, "module openvswitch was loaded"
}
