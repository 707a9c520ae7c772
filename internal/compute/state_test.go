package compute

import "testing"

func TestStatusOf(t *testing.T) {
	for _, tt := range []struct {
		vm   VMState
		task TaskState
		want Status
	}{
		{Building, Spawning, "BUILD"}, {Active, NoTask, "ACTIVE"}, {Active, Rebooting, "REBOOT"}, {Active, Deleting, "ACTIVE"},
		{VMStopped, NoTask, "SHUTOFF"}, {Resized, NoTask, "VERIFY_RESIZE"}, {VMError, NoTask, "ERROR"}, {"nonsense", NoTask, "UNKNOWN"},
	} {
		if got := StatusOf(tt.vm, tt.task); got != tt.want {
			t.Errorf("%s, %s: %s, want %s", tt.vm, tt.task, got, tt.want)
		}
	}
}

func TestAllows(t *testing.T) {
	for _, tt := range []struct {
		action string
		vm     VMState
		task   TaskState
		want   bool
	}{
		{"os-stop", Active, NoTask, true}, {"os-stop", VMStopped, NoTask, false}, {"os-stop", Active, Rebooting, false},
		{"reboot", Active, Rebooting, true}, {"os-getConsoleOutput", Building, Spawning, true}, {"lock", VMError, Deleting, true},
	} {
		if got := Allows(tt.action, tt.vm, tt.task); got != tt.want {
			t.Errorf("%s in %s, %s: %v", tt.action, tt.vm, tt.task, got)
		}
	}
}
