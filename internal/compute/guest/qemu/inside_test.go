package qemu

import (
	"context"
	"encoding/base64"
	"os/exec"
	"testing"
	"time"
)

// inside runs a shell command in a guest through its agent, and answers what it
// wrote. Commands that end the guest answer nothing.
func inside(t *testing.T, d *Driver, guestID, command string) string {
	t.Helper()
	m := d.machine(guestID)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var started struct {
		PID int `json:"pid"`
	}
	run := map[string]any{"path": "/bin/sh", "arg": []string{"-c", command}, "capture-output": true}
	for {
		err := m.askAgent(ctx, "guest-exec", run, &started)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: %v", command, err)
		}
	}
	for command != "poweroff" {
		var s struct {
			Exited bool   `json:"exited"`
			Code   int    `json:"exitcode"`
			Out    string `json:"out-data"`
			Err    string `json:"err-data"`
		}
		if err := m.askAgent(ctx, "guest-exec-status", map[string]any{"pid": started.PID}, &s); err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		if !s.Exited {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		out, _ := base64.StdEncoding.DecodeString(s.Out)
		failed, _ := base64.StdEncoding.DecodeString(s.Err)
		if s.Code != 0 {
			t.Fatalf("%s: exit %d: %s%s", command, s.Code, out, failed)
		}
		return string(out)
	}
	return ""
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}
