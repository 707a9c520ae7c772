package installation

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/installation/plan"
	"github.com/mekcloud/mek/internal/pki"
)

// furtherServer refuses what cannot become a further server of a cloud: it
// needs the first one's keys, and must not make its own.
func (i *Installation) furtherServer() error {
	if database, given := config.Environment(i.Env)["database"].(string); given && strings.Contains(database, "@") {
		return &Failure{Code: ExitUsage, What: "the address of the database holds a password, and settings.yaml can be read by all",
			Do: "Write it into " + i.cfg.Path(config.OperatorFile)}
	}
	if !i.cfg.ServerOnly {
		return nil
	}
	server, authority := i.cfg.Server(), pki.FilesIn(i.cfg.DataDir)
	for _, path := range []string{server.MasterKeyFile, server.BootstrapFile, authority.RootKey, authority.RootCert} {
		if _, err := os.Stat(path); err != nil {
			return &Failure{Code: ExitBlocked, What: "a further server needs the keys of the first: there is no " + path,
				Do: fmt.Sprintf("Copy the folders secrets and tls of the first server's data directory to %s, then run mek up --server-only again.", i.cfg.DataDir)}
		}
	}
	return nil
}

// shareSettings lets the service user read the operator's file, which may hold
// a password and then is closed to others.
func (i *Installation) shareSettings() error {
	path := i.cfg.Path(config.OperatorFile)
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm()&0o004 != 0 || os.Geteuid() != 0 {
		return nil // there is none, or everybody may
	}
	_, gid, err := plan.Account()
	if err != nil {
		return err
	}
	if err := os.Chown(path, -1, gid); err != nil {
		return fmt.Errorf("group of %s: %w", filepath.Base(path), err)
	}
	if err := os.Chmod(path, fi.Mode().Perm()|0o040); err != nil {
		return fmt.Errorf("mode of %s: %w", filepath.Base(path), err)
	}
	return nil
}
