package shipping

import (
	"cmp"
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

// historyPrefix begins the names of histories; the epoch follows, and the number
// of the copy if it is not the first of that epoch.
const historyPrefix = "epoch-"

// history is one copy of the database with the log behind it.
type history struct{ epoch, part int64 }

func (h history) dir(root string) string {
	name := historyPrefix + strconv.FormatInt(h.epoch, 10)
	if h.part > 0 {
		name += "." + strconv.FormatInt(h.part, 10)
	}
	return filepath.Join(root, name)
}

func (h history) compare(o history) int {
	return cmp.Or(cmp.Compare(h.epoch, o.epoch), cmp.Compare(h.part, o.part))
}

func parseHistory(name string) (h history, ok bool) {
	text, ok := strings.CutPrefix(name, historyPrefix)
	if !ok {
		return h, false
	}
	epoch, part, more := strings.Cut(text, ".")
	var err1, err2 error
	h.epoch, err1 = strconv.ParseInt(epoch, 10, 64)
	if more {
		h.part, err2 = strconv.ParseInt(part, 10, 64)
	}
	return h, err1 == nil && err2 == nil
}

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

// histories are those in a folder, the latest first.
func histories(dir string) ([]history, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("shipped log: %w", err)
	}
	var out []history
	for _, e := range list {
		if h, ours := parseHistory(e.Name()); ours && e.IsDir() {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b history) int { return b.compare(a) })
	return out, nil
}

// latest is the last history of an epoch; the first one, if there is none.
func latest(dir string, epoch int64) (history, error) {
	list, err := histories(dir)
	if i := slices.IndexFunc(list, func(h history) bool { return h.epoch == epoch }); i >= 0 {
		return list[i], nil
	}
	return history{epoch: epoch}, err
}
