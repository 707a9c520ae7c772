package files

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/blockstorage/disk/disktest"
	"github.com/mekcloud/mek/internal/fault"
)

const mib = 1 << 20

func TestConformance(t *testing.T) {
	t.Parallel()
	disktest.Run(t, func(t *testing.T) disk.Driver { return driver(t, Config{}) })
}

func driver(t *testing.T, cfg Config) *Driver {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func content(t *testing.T, d *Driver, id string) []byte {
	t.Helper()
	r, _, err := d.Open(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// write puts bytes into a volume as a guest would.
func write(t *testing.T, d *Driver, id string, at int64, b []byte) {
	t.Helper()
	file, err := d.Locate(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file.Path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func volume(id string, size int64, s disk.Source) disk.Spec {
	return disk.Spec{ID: id, Kind: disk.Volume, SizeBytes: size, Format: disk.Raw, Source: s}
}

func TestCopiesHaveTheSourcesBytesAndItsHoles(t *testing.T) {
	t.Parallel()
	d, ctx := driver(t, Config{}), context.Background()
	if _, err := d.Ensure(ctx, volume("a", 64*mib, disk.Source{})); err != nil {
		t.Fatal(err)
	}
	write(t, d, "a", 5*mib, []byte("pattern"))
	write(t, d, "a", 64*mib-7, []byte("the end"))
	if _, err := d.Ensure(ctx, volume("b", 65*mib, disk.Source{Kind: disk.FromVolume, ID: "a"})); err != nil {
		t.Fatal(err)
	}
	want := append(content(t, d, "a"), make([]byte, mib)...)
	if !bytes.Equal(content(t, d, "b"), want) {
		t.Error("the copy differs")
	}
	var st unix.Stat_t
	if err := unix.Stat(d.path("b", 0, disk.Volume), &st); err != nil || st.Blocks*512 > 4*mib {
		t.Errorf("the copy takes %d bytes of the disk for two small patterns: %v", st.Blocks*512, err)
	}
	write(t, d, "a", 5*mib, []byte("CHANGED"))
	if !bytes.Equal(content(t, d, "b"), want) {
		t.Error("the copy changes with its source")
	}
}

func TestNewVolumesReadZeros(t *testing.T) {
	t.Parallel()
	d, ctx := driver(t, Config{}), context.Background()
	for range 3 {
		if _, err := d.Ensure(ctx, volume("a", 4*mib, disk.Source{})); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(content(t, d, "a"), make([]byte, 4*mib)) {
			t.Fatal("a new volume shows old bytes")
		}
		write(t, d, "a", 0, bytes.Repeat([]byte("secret  "), mib/2))
		if err := d.Destroy(ctx, "a"); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(d.cfg.Dir); err != nil || len(entries) != 0 {
		t.Errorf("%d files are left: %v", len(entries), err)
	}
}

func TestCrashRubbishIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a.content.new", "a.image.new", "b.raw"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := driver(t, Config{Dir: dir})
	list, err := d.List(context.Background())
	if err != nil || len(list) != 1 || list[0].ID != "b" {
		t.Errorf("listed %+v, %v", list, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d files are left: %v", len(entries), err)
	}
}

// images is an image service of one image, with the worker's place taken by qemu-img itself.
type images struct {
	format string
	raw    []byte
	fail   error
}

func (i images) Fetch(_ context.Context, _ string, out *os.File) (string, error) {
	if _, err := out.Write(i.raw); err != nil {
		return "", err
	}
	return i.format, i.fail
}

type qemuImg struct{}

func (qemuImg) Convert(ctx context.Context, in *os.File, format string, out *os.File, limit int64) error {
	cmd := exec.CommandContext(ctx, "qemu-img", "convert", "-f", format, "-O", "raw", "/proc/self/fd/3", "/proc/self/fd/4")
	cmd.ExtraFiles = []*os.File{in, out}
	if raw, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(raw)))
	}
	if info, err := out.Stat(); err != nil || info.Size() > limit {
		return fault.New(fault.TooLarge, "too large").Because(err)
	}
	return nil
}

func TestVolumesFromImages(t *testing.T) {
	t.Parallel()
	plain := append(bytes.Repeat([]byte("image   "), mib/8), make([]byte, mib)...)
	dir := t.TempDir()
	raw, qcow := filepath.Join(dir, "i.raw"), filepath.Join(dir, "i.qcow2")
	if err := os.WriteFile(raw, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	packed, err := os.ReadFile(qcow)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for name, i := range map[string]images{"raw": {format: "raw", raw: plain}, "qcow2": {format: "qcow2", raw: packed}} {
		d := driver(t, Config{Images: i, Converter: qemuImg{}})
		source := disk.Source{Kind: disk.FromImage, ID: "i", Format: i.format}
		if _, err := d.Ensure(ctx, volume("a", 4*mib, source)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(content(t, d, "a"), append(bytes.Clone(plain), make([]byte, 2*mib)...)) {
			t.Errorf("%s: content differs", name)
		}
		if _, err := d.Ensure(ctx, volume("b", mib, source)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: an image that does not fit: %v", name, err)
		}
		i.fail = fault.Unavailablef("gone")
		d.cfg.Images = i
		if _, err := d.Ensure(ctx, volume("c", 4*mib, source)); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: a broken transfer: %v", name, err)
		}
		if entries, err := os.ReadDir(d.cfg.Dir); err != nil || len(entries) != 1 {
			t.Errorf("%s: %d files are left: %v", name, len(entries), err)
		}
	}
}

type guests struct {
	err   error
	asked []string
	raw   []byte
}

func (g *guests) CopyOpen(_ context.Context, guest, volume, name string, out *os.File) error {
	g.asked = append(g.asked, guest+" "+volume+" "+name)
	if g.err != nil {
		return g.err
	}
	_, err := out.Write(g.raw)
	return err
}

func TestSnapshotsOfOpenVolumesAreTheGuests(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	qcow := filepath.Join(t.TempDir(), "q")
	if out, err := exec.Command("qemu-img", "create", "-f", "qcow2", qcow, "1M").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	packed, err := os.ReadFile(qcow)
	if err != nil {
		t.Fatal(err)
	}
	g := &guests{raw: packed}
	d := driver(t, Config{Guests: g, Converter: qemuImg{}})
	if _, err := d.Ensure(ctx, volume("a", mib, disk.Source{})); err != nil {
		t.Fatal(err)
	}
	write(t, d, "a", 0, []byte("torn"))
	snap := volume("s", mib, disk.Source{Kind: disk.FromVolume, ID: "a", Guest: "g"})
	snap.Kind = disk.Snapshot
	if _, err := d.Ensure(ctx, snap); err != nil {
		t.Fatal(err)
	}
	if len(g.asked) != 1 || g.asked[0] != "g a s" || !bytes.Equal(content(t, d, "s"), make([]byte, mib)) {
		t.Errorf("asked %v; the snapshot must be the guest's copy, not the file", g.asked)
	}
	g.err = fault.Conflictf("not running")
	snap.ID = "s2"
	if _, err := d.Ensure(ctx, snap); err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(content(t, d, "s2"), []byte("torn")) {
		t.Error("without a running guest the snapshot is the file")
	}
	d.cfg.Guests = nil
	snap.ID = "s3"
	if _, err := d.Ensure(ctx, snap); !fault.Is(err, fault.Conflict) {
		t.Errorf("without a way to copy consistently: %v", err)
	}
}

func TestFullDiskIsAClearRefusal(t *testing.T) {
	t.Parallel()
	if err := clearly(errors.Join(errors.New("x"), unix.ENOSPC)); !fault.Is(err, fault.Conflict) {
		t.Errorf("no space is told as %v", err)
	}
	if os.Geteuid() != 0 {
		t.Log("without root only the translation is tested")
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Logf("no tmpfs here (%v): only the translation is tested", err)
		return
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	d, ctx := driver(t, Config{Dir: dir}), context.Background()
	if _, err := d.Ensure(ctx, volume("a", 3*mib, disk.Source{})); err != nil {
		t.Fatal(err)
	}
	write(t, d, "a", 0, bytes.Repeat([]byte("x"), 3*mib))
	if _, err := d.Ensure(ctx, volume("b", 3*mib, disk.Source{Kind: disk.FromVolume, ID: "a"})); !fault.Is(err, fault.Conflict) {
		t.Errorf("copy onto a full disk: %v", err)
	}
	if list, err := d.List(ctx); err != nil || len(list) != 1 {
		t.Errorf("listed %+v, %v", list, err)
	}
	// the kernel gives blocks of a removed file back a moment later
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		space, err := d.Space(ctx)
		if err == nil && space.Free >= mib/2 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the failed copy still takes space: %+v, %v", space, err)
		}
	}
}
