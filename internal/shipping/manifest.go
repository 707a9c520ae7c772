package shipping

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Format is the version of the layout. A program reads its own and older ones.
const Format = 1

// manifestName is the file that makes a folder one of shipped logs.
const manifestName = "mek-log.json"

// historyPrefix begins the names of histories; the epoch follows.
const historyPrefix = "epoch-"

// Manifest says whose log is in a folder.
type Manifest struct {
	Format    int    `json:"format"`
	Program   string `json:"program"`
	DataDir   string `json:"data_dir"`
	Host      string `json:"host"`
	MasterKey string `json:"master_key"` // its fingerprint: backup.Fingerprint
}

// Is tells whether a folder holds a shipped log.
func Is(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, manifestName))
	return err == nil
}

// Read reads a folder's manifest.
func Read(dir string) (Manifest, error) {
	var m Manifest
	text, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err == nil && (m.Format < 1 || m.Format > Format) {
		err = fmt.Errorf("format %d is not known to this program", m.Format)
	}
	if err != nil {
		return m, fmt.Errorf("shipped log: %w", err)
	}
	return m, nil
}

// write replaces the manifest. A folder of another cloud is refused: two
// databases in one folder would be none.
func (m Manifest) write(dir string) error {
	was, err := Read(dir)
	switch {
	case err == nil && (was.DataDir != m.DataDir || was.Host != m.Host || was.MasterKey != m.MasterKey):
		return fmt.Errorf("shipped log: %s holds the log of %s on %s: give each cloud a folder of its own", dir, was.DataDir, was.Host)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, manifestName)
	if err := os.WriteFile(file+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("shipped log: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("shipped log: %w", err)
	}
	return nil
}

// histories are the epochs in a folder, the latest first.
func histories(dir string) ([]int64, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("shipped log: %w", err)
	}
	var out []int64
	for _, e := range list {
		text, ours := strings.CutPrefix(e.Name(), historyPrefix)
		if epoch, err := strconv.ParseInt(text, 10, 64); ours && err == nil && e.IsDir() {
			out = append(out, epoch)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out, nil
}

func history(dir string, epoch int64) string {
	return filepath.Join(dir, historyPrefix+strconv.FormatInt(epoch, 10))
}
