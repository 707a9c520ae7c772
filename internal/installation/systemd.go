package installation

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/ledger"
)

// systemdRuns tells whether systemd is the one that keeps services running.
func systemdRuns() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil && os.Geteuid() == 0
}

// unitName is that of this cloud's unit.
func (i *Installation) unitName() string {
	if i.cfg.DataDir == DefaultDataDir() {
		return "mek.service"
	}
	return "mek-" + i.cfg.Hash + ".service"
}

// unitText runs the supervisor. What the supervisor runs survives its restart:
// systemd is told to kill the main process alone.
func (i *Installation) unitText(version string) string {
	return strings.Join([]string{
		"[Unit]",
		"Description=Mek cloud in " + i.cfg.DataDir,
		"After=network.target local-fs.target",
		"Wants=network.target",
		"",
		"[Service]",
		"# version " + version,
		"ExecStart=" + i.program() + " supervise --data-dir " + i.cfg.DataDir,
		"Restart=always",
		"RestartSec=1",
		"KillMode=process",
		"LimitNOFILE=1048576",
		"TasksMax=infinity",
		"Delegate=yes",
		"",
		"[Install]",
		"WantedBy=multi-user.target",
		"",
	}, "\n")
}

// superviseBySystemd writes the unit, has it start at boot, and restarts it if
// it or the program changed.
func (i *Installation) superviseBySystemd(ctx context.Context, led *ledger.Ledger) error {
	version, err := plan.Version(i.cfg, i.program())
	if err != nil {
		return err
	}
	name := i.unitName()
	path := filepath.Join("/etc/systemd/system", name)
	text := i.unitText(version)
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("read unit: %w", err)
	}
	changed := string(old) != text
	if changed {
		if err := led.Record(ledger.Change{Kind: ledger.Unit, Name: name}); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write unit: %w", err)
		}
		if err := systemctl(ctx, "daemon-reload"); err != nil {
			return err
		}
	}
	if err := systemctl(ctx, "enable", "--now", name); err != nil {
		return err
	}
	if changed && len(old) > 0 {
		return systemctl(ctx, "restart", name)
	}
	return nil
}

func systemctl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
