package installation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/engine"
	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/ledger"
)

// Options are what every command has.
type Options struct {
	DataDir string
	Flags   map[string]any // configuration keys given on the command line
	Env     []string
	Print   *Printer
	Clock   clock.Clock
	Log     *slog.Logger
	Version string
}

// Installation is one cloud on this machine.
type Installation struct {
	Options
	cfg config.Config
}

// New loads the cloud's configuration. Nothing is changed or started.
func New(o Options) (*Installation, error) {
	cfg, err := config.Load(o.DataDir, o.Env, o.Flags)
	if err != nil {
		return nil, &Failure{Code: ExitUsage, What: "configuration", Why: err, Look: filepath.Join(o.DataDir, config.OperatorFile)}
	}
	return &Installation{Options: o, cfg: cfg}, nil
}

// Config is the configuration as loaded.
func (i *Installation) Config() config.Config { return i.cfg }

// exists tells whether "mek up" was ever here.
func (i *Installation) exists() bool {
	_, err := os.Stat(i.cfg.Path(config.SettingsFile))
	return err == nil
}

// need refuses commands on a cloud that is not there.
func (i *Installation) need() error {
	if i.exists() {
		return nil
	}
	do := "Make one:  mek up --data-dir " + i.cfg.DataDir
	if _, err := os.Stat(i.cfg.DataDir); errors.Is(err, os.ErrPermission) {
		do = "Try again with sudo."
	}
	return &Failure{Code: ExitFailed, What: "there is no cloud in " + i.cfg.DataDir, Do: do}
}

// engines is the set of this cloud's processes.
func (i *Installation) engines() (*engine.Set, error) {
	return engine.NewSet(filepath.Join(i.cfg.RunDir(), "engines"), i.Clock, i.Log)
}

func (i *Installation) ledger() (*ledger.Ledger, error) {
	led, err := ledger.Open(i.cfg.Path("ledger"), i.Clock)
	if errors.Is(err, ledger.ErrDamaged) {
		return nil, &Failure{What: "ledger of host changes", Why: err, Do: "Restore it from a backup, or repair the line: nothing is changed without it."}
	}
	return led, err
}

// lock keeps two commands from changing one cloud at once. The returned
// function releases it; so does the end of the process.
func (i *Installation) lock() (func(), error) {
	f, err := os.OpenFile(i.cfg.Path("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return nil, &Failure{What: "another mek command is changing this cloud", Do: "Wait until it is done: mek wait"}
	}
	return func() { _ = f.Close() }, nil
}

// running tells whether the front door answers.
func (i *Installation) running(ctx context.Context) bool { return plan.Healthy(ctx, i.cfg) == nil }

// program is the copy of this program that the cloud runs: the server's user
// must be able to read it, and a rebuilt binary must not change under it.
func (i *Installation) program() string { return i.cfg.Path("bin", "mek") }

// installProgram copies the running program into the data directory if it is
// another one.
func (i *Installation) installProgram() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("own program: %w", err)
	}
	to := i.program()
	from, err := os.Stat(self)
	if err != nil {
		return fmt.Errorf("own program: %w", err)
	}
	if have, err := os.Stat(to); err == nil && (os.SameFile(from, have) || have.Size() == from.Size() && have.ModTime().Equal(from.ModTime())) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("install program: %w", err)
	}
	if err := copyFile(self, to+".new", 0o755); err != nil {
		return fmt.Errorf("install program: %w", err)
	}
	if err := os.Chtimes(to+".new", from.ModTime(), from.ModTime()); err != nil {
		return fmt.Errorf("install program: %w", err)
	}
	return os.Rename(to+".new", to)
}

func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(mode), out.Close())
}
