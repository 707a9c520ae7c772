package installation

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/installation/cloudsyaml"
	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/ledger"
)

// person is who typed the command: with sudo, not root.
type person struct {
	home     string
	uid, gid int // -1: this process's own
}

// thePerson finds the home and ids of whoever typed the command.
func (i *Installation) thePerson() person {
	if name := os.Getenv("SUDO_USER"); name != "" && name != "root" && os.Geteuid() == 0 {
		if u, err := user.Lookup(name); err == nil {
			uid, err1 := strconv.Atoi(u.Uid)
			gid, err2 := strconv.Atoi(u.Gid)
			if err1 == nil && err2 == nil {
				return person{u.HomeDir, uid, gid}
			}
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = i.cfg.DataDir
	}
	return person{home, -1, -1}
}

// cloudsFile is the clouds.yaml that clients of that person read.
func (i *Installation) cloudsFile() string {
	if file := os.Getenv("OS_CLIENT_CONFIG_FILE"); file != "" {
		return file
	}
	return filepath.Join(i.thePerson().home, ".config", "openstack", "clouds.yaml")
}

// entries are our clouds as clients need them.
func (i *Installation) entries(b config.Bootstrap) map[string]cloudsyaml.Entry {
	out := map[string]cloudsyaml.Entry{}
	for name, password := range map[string]string{"admin": b.AdminPassword, "demo": b.DemoPassword} {
		e := cloudsyaml.Entry{RegionName: i.cfg.Region, IdentityAPIVersion: "3", Auth: cloudsyaml.Auth{
			AuthURL: i.authURL(), Username: name, Password: password, ProjectName: name, UserDomainName: "Default", ProjectDomainName: "Default"}}
		if !i.cfg.InsecureHTTP {
			e.CACert = i.cfg.Server().CAFile
		}
		out[name] = e
	}
	return out
}

func (i *Installation) authURL() string {
	if i.cfg.PublicURL != "" {
		return i.cfg.PublicURL + "/identity/v3"
	}
	return plan.LocalURL(i.cfg) + "/identity/v3"
}

// ownClouds is the copy in the data directory that our own commands use.
func (i *Installation) ownClouds() string { return i.cfg.Path("clouds.yaml") }

// writeClouds merges our entries into the person's clouds.yaml and returns its
// path. Which files were touched is remembered for uninstall. Passwords that
// were changed since the first start are kept as they are in the file.
func (i *Installation) writeClouds() (string, error) {
	b, err := i.ensureBootstrap()
	if err != nil {
		return "", err
	}
	entries := i.entries(b)
	if _, err := cloudsyaml.Merge(i.ownClouds(), entries, cloudsyaml.Owner{UID: -1, GID: -1}); err != nil {
		return "", err
	}
	file, p := i.cloudsFile(), i.thePerson()
	if have, err := cloudsyaml.Read(file); err == nil {
		for name, e := range have {
			if ours, ok := entries[name]; ok && e.Auth.AuthURL == ours.Auth.AuthURL && e.Auth.Username == ours.Auth.Username && e.CACert == ours.CACert {
				delete(entries, name) // ours, perhaps with a new password or a comment: leave it
			}
		}
	}
	if err := i.rememberFile(file, map[string]string{"clouds": i.authURL()}); err != nil {
		return "", err
	}
	changed, err := cloudsyaml.Merge(file, entries, cloudsyaml.Owner{UID: p.uid, GID: p.gid})
	if err != nil {
		return "", &Failure{What: "clouds.yaml cannot be written", Why: err, Do: "Repair the file, or use the copy in " + i.ownClouds(), Look: file}
	}
	if changed {
		i.Print.step(markDone, "credentials", "%s", file)
	}
	return file, nil
}

// rememberFile records a person's file that we are about to write, and the
// folders that are missing above it.
func (i *Installation) rememberFile(file string, detail map[string]string) error {
	led, err := i.ledger()
	if err != nil {
		return err
	}
	var above []string
	for dir := filepath.Dir(file); dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		above = append([]string{dir}, above...)
	}
	for _, dir := range above {
		if err := led.Record(ledger.Change{Kind: ledger.Dir, Name: dir, Detail: map[string]string{"keep": "others"}}); err != nil {
			return err
		}
	}
	return led.Record(ledger.Change{Kind: ledger.File, Name: file, Detail: detail})
}
