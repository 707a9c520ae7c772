package configdrive

import (
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/mekcloud/mek/internal/compute/guest"
)

// Label is how guests find the drive.
const Label = "config-2"

const blockSize = 2048

// Write makes a drive of the files at path, which must not exist yet. It
// needs a folder beside it for a while, and leaves nothing when it fails.
func Write(target string, files []guest.File) (err error) {
	work, err := os.MkdirTemp(filepath.Dir(target), ".drive-")
	if err != nil {
		return fmt.Errorf("make room for the config drive: %w", err)
	}
	defer func() {
		if gone := os.RemoveAll(work); err == nil && gone != nil {
			err = fmt.Errorf("clear up after the config drive: %w", gone)
		}
		if err != nil {
			_ = os.Remove(target) // the first error says what happened
		}
	}()
	for _, f := range files {
		if err := place(work, f); err != nil {
			return fmt.Errorf("lay out the config drive: %w", err)
		}
	}
	return burn(target, work)
}

// place puts one file into the tree; places outside of it are refused.
func place(work string, f guest.File) error {
	if !filepath.IsLocal(f.Path) {
		return fmt.Errorf("file %q has no place on the drive", f.Path)
	}
	to := filepath.Join(work, filepath.FromSlash(path.Clean(f.Path)))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, f.Data, 0o644)
}

func burn(target, work string) (err error) {
	out, err := os.OpenFile(target, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create the config drive: %w", err)
	}
	defer func() {
		if closed := out.Close(); err == nil && closed != nil {
			err = fmt.Errorf("close the config drive: %w", closed)
		}
	}()
	fs, err := iso9660.Create(file.New(out, false), 0, 0, blockSize, work)
	if err != nil {
		return fmt.Errorf("start the config drive: %w", err)
	}
	if err := fs.Finalize(iso9660.FinalizeOptions{RockRidge: true, Joliet: true, VolumeIdentifier: Label}); err != nil {
		return fmt.Errorf("write the config drive: %w", err)
	}
	return mendJoliet(out)
}
