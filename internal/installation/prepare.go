package installation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/ledger"
)

// makeDataDir makes the data directory and what is missing above it, and
// returns the ledger in it. Folders made above it are recorded.
func (i *Installation) makeDataDir() (*ledger.Ledger, error) {
	var above []string
	for dir := filepath.Dir(i.cfg.DataDir); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil || dir == "/" {
			break
		}
		above = append([]string{dir}, above...)
	}
	if err := os.MkdirAll(i.cfg.DataDir, 0o755); err != nil {
		return nil, &Failure{What: "data directory", Why: err, Do: "Choose another --data-dir, or run with sudo."}
	}
	led, err := i.ledger()
	if err != nil {
		return nil, err
	}
	for _, dir := range above {
		if err := led.Record(ledger.Change{Kind: ledger.Dir, Name: dir, Detail: map[string]string{"keep": "others", "above": "yes"}}); err != nil {
			return nil, err
		}
	}
	return led, nil
}

// makeShared makes a folder that several clouds use; it goes when empty. One that
// holds nothing but what is this cloud's was made on its behalf, by whoever looked
// whether it runs.
func makeShared(led *ledger.Ledger, dir, own string) error {
	if files, err := os.ReadDir(dir); err == nil && (len(files) != 1 || files[0].Name() != own) {
		return nil
	}
	if err := led.Record(ledger.Change{Kind: ledger.Dir, Name: dir, Detail: map[string]string{"keep": "others", "shared": "machine"}}); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}

// ensureUser makes the user that the server runs as.
func ensureUser(ctx context.Context, led *ledger.Ledger) (made bool, err error) {
	if os.Geteuid() != 0 {
		return false, nil
	}
	if _, err := user.Lookup(plan.ServiceUser); err == nil {
		return false, nil
	}
	for _, kind := range []ledger.Kind{ledger.Group, ledger.User} {
		if err := led.Record(ledger.Change{Kind: kind, Name: plan.ServiceUser}); err != nil {
			return false, err
		}
	}
	out, err := exec.CommandContext(ctx, "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
		"--shell", "/usr/sbin/nologin", "--comment", "Mek cloud", plan.ServiceUser).CombinedOutput()
	if err != nil {
		return false, fmt.Errorf("make user %s: %w: %s", plan.ServiceUser, err, strings.TrimSpace(string(out)))
	}
	return true, nil
}

// folders of the data directory and of the run directory. Those of the server
// belong to its user and are closed to others.
func (i *Installation) makeFolders(led *ledger.Ledger) error {
	uid, gid, err := plan.Account()
	if err != nil {
		return err
	}
	run := i.cfg.RunDir()
	if err := led.Record(ledger.Change{Kind: ledger.Dir, Name: run}); err != nil { // whoever looked for processes has made it already
		return err
	}
	if i.cfg.HostHere() {
		ids := filepath.Join(config.RunRoot(), "ids") // user ids of guests, shared by all clouds of the machine
		if err := led.Record(ledger.Change{Kind: ledger.Dir, Name: ids, Detail: map[string]string{"shared": "machine"}}); err != nil {
			return err
		}
		if err := i.recordCgroups(led); err != nil {
			return err
		}
	}
	for _, dir := range []string{i.cfg.Path("log"), i.cfg.Path("tls"), run, filepath.Join(run, "engines")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	for _, dir := range []string{"agent", "agent/instances", "agent/volumes", "agent/cache"} {
		if err := os.MkdirAll(i.cfg.Path(dir), 0o711); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	if i.cfg.Joined() {
		if err := os.MkdirAll(southboundDir(i.cfg), 0o750); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		return nil
	}
	server := i.cfg.Server()
	if shared := i.cfg.SharedDir; shared != "" {
		if err := os.MkdirAll(shared, 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	folders := map[string]os.FileMode{
		i.cfg.Path("db"): 0o700, i.cfg.Path("secrets"): 0o700, server.ImageDir: 0o700, i.cfg.Path("objects"): 0o700,
		server.VolumeDir: 0o700, filepath.Join(run, "server"): 0o755,
	}
	if i.cfg.ShipTo != "" {
		folders[i.cfg.ShipTo] = 0o700
	}
	for dir, mode := range folders {
		if err := os.MkdirAll(dir, mode); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if err := ownAll(dir, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// own gives a file to the service user; nothing when we are not root.
func own(path string, uid, gid int) error {
	if uid == 0 && gid == 0 {
		return nil
	}
	if err := os.Chown(path, uid, gid); err != nil {
		return fmt.Errorf("owner of %s: %w", path, err)
	}
	return nil
}

// ownAll gives a folder to the service user; with everything in it if it was
// another's, as after the user was removed and made again.
func ownAll(dir string, uid, gid int) error {
	if uid == 0 && gid == 0 {
		return nil
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("owner of %s: %w", dir, err)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) == uid && int(st.Gid) == gid {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("owner of %s: %w", path, err)
		}
		if err := os.Lchown(path, uid, gid); err != nil {
			return fmt.Errorf("owner of %s: %w", path, err)
		}
		return nil
	})
}

// installGuest copies the tiny guest's kernel, which lies beside its image: the
// agent boots it to see whether an accelerator works. Without it nothing is probed.
func (i *Installation) installGuest() error {
	if !i.cfg.HostHere() {
		return nil
	}
	for _, name := range []string{"vmlinuz", "initrd.img"} {
		from, to := filepath.Join(filepath.Dir(i.imageFile()), name), i.cfg.Path("guest", name)
		if from == to {
			continue
		}
		fi, err := os.Stat(from)
		if err != nil {
			continue // an image of the operator's own
		}
		if have, err := os.Stat(to); err == nil && have.Size() == fi.Size() && !have.ModTime().Before(fi.ModTime()) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return fmt.Errorf("kernel of the tiny guest: %w", err)
		}
		if err := copyFile(from, to, 0o644); err != nil {
			return fmt.Errorf("kernel of the tiny guest: %w", err)
		}
	}
	return nil
}

// ensureBootstrap makes the first passwords, once.
func (i *Installation) ensureBootstrap() (config.Bootstrap, error) {
	path := i.cfg.Server().BootstrapFile
	var b config.Bootstrap
	text, err := os.ReadFile(path)
	if err == nil {
		if err := json.Unmarshal(text, &b); err != nil {
			return b, fmt.Errorf("first passwords: %w", err)
		}
		return b, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return b, fmt.Errorf("first passwords: %w", err)
	}
	b = config.Bootstrap{AdminPassword: id.Secret(18), DemoPassword: id.Secret(18), ServicePassword: id.Secret(24)}
	if text, err = json.Marshal(b); err != nil {
		return b, fmt.Errorf("first passwords: %w", err)
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return b, fmt.Errorf("first passwords: %w", err)
	}
	uid, gid, err := plan.Account()
	if err != nil {
		return b, err
	}
	if err := own(path+".new", uid, gid); err != nil {
		return b, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return b, fmt.Errorf("first passwords: %w", err)
	}
	return b, nil
}
