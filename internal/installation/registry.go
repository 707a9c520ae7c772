package installation

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/ledger"
)

// registry says which clouds live on this machine: a file per cloud, named by
// its hash, holding its data directory and, on a second line, which network
// namespace it is in.
const registry = "/etc/mek/clouds"

// register gives this cloud a hash that no other cloud of this machine has.
func (i *Installation) register(led *ledger.Ledger) error {
	if os.Geteuid() != 0 {
		return nil // other users' clouds have other run directories, and no links
	}
	for _, dir := range []string{filepath.Dir(registry), registry, config.RunRoot()} {
		if err := makeShared(led, dir, i.cfg.Hash); err != nil {
			return err
		}
	}
	for try := 0; ; try++ {
		taken, err := i.hashTaken()
		if err != nil {
			return err
		}
		if !taken {
			break
		}
		other := config.Default(fmt.Sprintf("%s#%d", i.cfg.DataDir, try))
		i.cfg.Hash = other.Hash
	}
	path := filepath.Join(registry, i.cfg.Hash)
	if err := led.Record(ledger.Change{Kind: ledger.File, Name: path}); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(i.cfg.DataDir+"\n"+ownNamespace()+"\n"), 0o644)
}

// ownNamespace names the network namespace that this process is in.
func ownNamespace() string {
	name, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return "unknown"
	}
	return name
}

// hashTaken tells whether another cloud uses the part of the hash that is in
// the names of links.
func (i *Installation) hashTaken() (bool, error) {
	same, err := filepath.Glob(filepath.Join(registry, i.cfg.Hash[:4]+"*"))
	if err != nil {
		return false, fmt.Errorf("clouds of this machine: %w", err)
	}
	for _, path := range same {
		if dir, _ := readRegistry(path); dir != "" && dir != i.cfg.DataDir {
			return true, nil
		}
	}
	return false, nil
}

func readRegistry(path string) (dataDir, namespace string) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", "" // taken off meanwhile
	}
	dataDir, namespace, _ = strings.Cut(strings.TrimSpace(string(b)), "\n")
	return dataDir, namespace
}

// otherClouds are data directories of clouds on this machine but this one, and
// among them those in the same network namespace.
func (i *Installation) otherClouds() (all, near []string, err error) {
	files, err := filepath.Glob(filepath.Join(registry, "*"))
	if err != nil {
		return nil, nil, fmt.Errorf("clouds of this machine: %w", err)
	}
	for _, path := range files {
		dir, namespace := readRegistry(path)
		if _, err := os.Stat(filepath.Join(dir, "ledger")); dir == "" || dir == i.cfg.DataDir || err != nil {
			continue // our own, or one whose folder somebody removed by hand
		}
		all = append(all, dir)
		if namespace == ownNamespace() {
			near = append(near, dir)
		}
	}
	return all, near, nil
}
