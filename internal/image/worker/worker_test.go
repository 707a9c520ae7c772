package worker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/worker"
)

// The test program is the worker program too, as mek is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "image-worker" {
		os.Exit(worker.Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func runner(t *testing.T, path string) *worker.Runner {
	t.Helper()
	if path != "" {
		t.Setenv("PATH", path)
	}
	r, err := worker.New(t.Context(), worker.Options{Self: []string{"mek", "image-worker"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func qemuImg(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "/usr/bin/qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img %v: %v: %s", args, err, out)
	}
}

// make1 makes an image of 3 MiB by qemu-img and gives its path. Worker users
// may read it, as they may read a store's blobs.
func make1(t *testing.T, format string, options ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	qemuImg(t, append(append([]string{"create", "-q", "-f", format}, options...), path, "3M")...)
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	return path
}

// encrypted makes a LUKS image. qemu-img times its hash first, and on a busy
// machine now and then finds its own processor time not measurable.
func encrypted(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	for try := 1; ; try++ {
		out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "--object", "secret,id=s,data=x",
			"-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=50", path, "3M").CombinedOutput()
		if err == nil {
			return path
		}
		if try == 20 {
			t.Fatalf("qemu-img: %v %s", err, out)
		}
	}
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// edit writes bytes into a file.
func edit(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func be64(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

func TestFormatsThatAreAccepted(t *testing.T) {
	r := runner(t, "")
	for _, c := range []struct {
		declared, want image.Format
		qemu           string
		options        []string
	}{
		{"raw", "raw", "raw", nil}, {"qcow2", "qcow2", "qcow2", nil}, {"qcow2", "qcow2", "qcow2", []string{"-o", "compat=0.10"}},
		{"qcow2", "qcow2", "qcow2", []string{"-o", "compression_type=zstd,extended_l2=on"}},
		{"vmdk", "vmdk", "vmdk", nil}, {"vmdk", "vmdk", "vmdk", []string{"-o", "subformat=streamOptimized"}},
		{"vhd", "vhd", "vpc", []string{"-o", "force_size=on"}}, {"vhd", "vhd", "vpc", []string{"-o", "subformat=fixed,force_size=on"}},
		{"vhdx", "vhdx", "vhdx", nil}, {"vdi", "vdi", "vdi", nil}, {"ploop", "ploop", "parallels", nil},
	} {
		t.Run(c.qemu+strings.Join(c.options, ""), func(t *testing.T) {
			path := make1(t, c.qemu, c.options...)
			found, err := r.Inspect(t.Context(), open(t, path), c.declared)
			if err != nil {
				t.Fatal(err)
			}
			if found.Format != c.want || found.Problem != "" || found.VirtualSize != 3<<20 {
				t.Fatalf("found %+v", found)
			}
			if got, err := image.Accept(c.declared, "bare", found); err != nil || got != c.want {
				t.Fatalf("accepted as %q: %v", got, err)
			}
			wrong := image.Format("iso")
			if _, err := image.Accept(wrong, "bare", found); !fault.Is(err, fault.UnsupportedMedia) {
				t.Fatalf("accepted as %s: %v", wrong, err)
			}
		})
	}
}

// SEC-01, SEC-02: each of these makes tools open what they should not, or is unknown.
func TestHostileImages(t *testing.T) {
	r := runner(t, "")
	cases := map[string]func(t *testing.T) string{
		"backing file": func(t *testing.T) string { return make1(t, "qcow2", "-F", "raw", "-b", "/etc/shadow") },
		"json backing": func(t *testing.T) string {
			return make1(t, "qcow2", "-u", "-F", "raw", "-b", `json:{"driver":"raw","file":{"driver":"file","filename":"/etc/shadow"}}`)
		},
		"data file": func(t *testing.T) string {
			return make1(t, "qcow2", "-o", "data_file="+filepath.Join(t.TempDir(), "d")+",data_file_raw=on")
		},
		"unknown features": func(t *testing.T) string { return edited(t, "qcow2", 72, be64(1<<40)) },
		"corrupt":          func(t *testing.T) string { return edited(t, "qcow2", 72, be64(1<<1)) },
		"encrypted": func(t *testing.T) string {
			return encrypted(t)
		},
		"qcow2 of this version": func(t *testing.T) string { return edited(t, "qcow2", 4, []byte{0, 0, 0, 9}) },
		"vmdk extents":          func(t *testing.T) string { return make1(t, "vmdk", "-o", "subformat=monolithicFlat") },
		"vmdk without a capacity": func(t *testing.T) string {
			return edited(t, "vmdk", 12, be64(0))
		},
		"vmdk other extents": func(t *testing.T) string { return replaced(t, "vmdk", "SPARSE \"", "SPARSE \"/") },
		"vmdk createType":    func(t *testing.T) string { return replaced(t, "vmdk", "monolithicSparse", "twoGbMaxExtentFla") },
		"vmdk parent": func(t *testing.T) string {
			base := make1(t, "vmdk")
			return make1(t, "vmdk", "-F", "vmdk", "-b", base)
		},
		"vdi parent":   func(t *testing.T) string { return edited(t, "vdi", 0x4c, []byte{4, 0, 0, 0}) },
		"vhd parent":   func(t *testing.T) string { return edited(t, "vpc", 60, []byte{0, 0, 0, 4}) },
		"torn header":  func(t *testing.T) string { return edited(t, "qcow2", 36, []byte{0, 0, 0, 0}) },
		"unknown qed":  func(t *testing.T) string { return make1(t, "qed") },
		"old qcow":     func(t *testing.T) string { return make1(t, "qcow") },
		"vhdx metadat": func(t *testing.T) string { return edited(t, "vhdx", 192<<10, []byte("none")) },
	}
	for name, build := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := r.Inspect(t.Context(), open(t, build(t)), "qcow2")
			if err != nil {
				t.Fatal(err)
			}
			if found.Problem == "" && found.Format != image.Unsafe {
				t.Fatalf("not refused: %+v", found)
			}
			for _, f := range image.DiskFormats() {
				if _, err := image.Accept(image.Format(f), "ami", found); !fault.Is(err, fault.UnsupportedMedia) {
					t.Fatalf("accepted as %s: %v", f, err)
				}
			}
		})
	}
}

func edited(t *testing.T, format string, at int64, b []byte) string {
	path := make1(t, format)
	edit(t, path, at, b)
	return path
}

func replaced(t *testing.T, format, old, new string) string {
	path := make1(t, format)
	all, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(all, []byte(old))
	if at < 0 {
		t.Fatalf("no %q in the image", old)
	}
	edit(t, path, int64(at), []byte(new))
	return path
}

// A disguised image, SEC-03: raw by declaration, something else by content.
func TestDisguisedRaw(t *testing.T) {
	r := runner(t, "")
	for _, f := range []string{"qcow2", "vmdk", "vdi", "vhdx"} {
		found, err := r.Inspect(t.Context(), open(t, make1(t, f)), image.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := image.Accept(image.Raw, "bare", found); !fault.Is(err, fault.UnsupportedMedia) {
			t.Fatalf("%s passed as raw: %v", f, err)
		}
	}
}

// The sandbox without bubblewrap does the same.
func TestOwnNamespaces(t *testing.T) {
	r := runner(t, t.TempDir())
	if r.Sandbox() != "namespaces" {
		t.Fatalf("sandbox is %s", r.Sandbox())
	}
	found, err := r.Inspect(t.Context(), open(t, make1(t, "qcow2")), image.QCOW2)
	if err != nil || found.VirtualSize != 3<<20 {
		t.Fatalf("found %+v, %v", found, err)
	}
}

func TestConvert(t *testing.T) {
	for _, path := range []string{"", t.TempDir()} {
		r := runner(t, path)
		disk := filepath.Join(t.TempDir(), "disk")
		want := bytes.Repeat([]byte("mek "), 1<<18)
		if err := os.WriteFile(disk, want, 0o444); err != nil {
			t.Fatal(err)
		}
		qcow := output(t)
		if err := r.Convert(t.Context(), open(t, disk), image.Raw, qcow, image.QCOW2, 64<<20); err != nil {
			t.Fatalf("%s: %v", r.Sandbox(), err)
		}
		back := output(t)
		if err := r.Convert(t.Context(), open(t, qcow.Name()), image.QCOW2, back, image.Raw, 64<<20); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(back.Name()); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes came back, %v", len(got), err)
		}
		err := r.Convert(t.Context(), open(t, disk), image.Raw, output(t), image.Raw, 64<<10)
		if !fault.Is(err, fault.TooLarge) {
			t.Fatalf("output over its limit: %v", err)
		}
		err = r.Convert(t.Context(), open(t, disk), image.QCOW2, output(t), image.Raw, 64<<20)
		if !fault.Is(err, fault.Invalid) {
			t.Fatalf("a disk that is no qcow2: %v", err)
		}
	}
}

func output(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "out"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Chmod(0o666); err != nil { // past the umask: the worker's user writes it
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// A backing file is not followed even when inspection is left out.
func TestConvertIgnoresBackingFile(t *testing.T) {
	r := runner(t, "")
	canary := filepath.Join(t.TempDir(), "canary")
	if err := os.WriteFile(canary, bytes.Repeat([]byte("CANARY"), 1<<18), 0o644); err != nil {
		t.Fatal(err)
	}
	out := output(t)
	if err := r.Convert(t.Context(), open(t, make1(t, "qcow2", "-F", "raw", "-b", canary)), image.QCOW2, out, image.Raw, 64<<20); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(out.Name()); err != nil || bytes.Contains(got, []byte("CANARY")) || len(got) != 3<<20 {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

// What a worker may do is seen from the inside: the test program, as the
// worker's program, tries the forbidden and reports.
func TestSandboxHolds(t *testing.T) {
	probe := filepath.Join(t.TempDir(), "probe")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", probe, "./testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, path := range []string{"", t.TempDir()} {
		if path != "" {
			t.Setenv("PATH", path)
		}
		r, err := worker.New(t.Context(), worker.Options{Self: []string{"mek", "image-worker"}, Program: probe})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		found, err := r.Inspect(t.Context(), open(t, make1(t, "raw")), "raw")
		if err != nil {
			t.Fatal(err)
		}
		var did map[string]string
		if err := json.Unmarshal([]byte(found.Problem), &did); err != nil {
			t.Fatalf("%v: %s", err, found.Problem)
		}
		for _, deed := range []string{"read image", "reserve 2 GiB"} { // Go's runtime reserves as much when it likes
			if did[deed] != "" {
				t.Errorf("%s: %s: %s", r.Sandbox(), deed, did[deed])
			}
		}
		for _, deed := range []string{"write image", "read /etc/passwd", "read /proc/1/environ", "list /", "write /tmp", "socket", "exec", "2 GiB", "ptrace", "user namespace", "privileges"} {
			if did[deed] == "" {
				t.Errorf("%s: %s was not refused (%v)", r.Sandbox(), deed, did)
			}
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	r, path := runner(t, ""), make1(t, "qcow2")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 8 {
				if found, err := r.Inspect(t.Context(), open(t, path), image.QCOW2); err != nil || found.VirtualSize != 3<<20 {
					t.Errorf("%+v, %v", found, err)
				}
			}
		})
	}
	all.Wait()
}

func TestDeadline(t *testing.T) {
	r := runner(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := r.Inspect(ctx, open(t, make1(t, "raw")), "raw"); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("inspection past its deadline: %v", err)
	}
}

func FuzzInspect(f *testing.F) {
	for _, format := range []string{"qcow2", "vmdk", "vpc", "vhdx", "vdi", "parallels", "qed", "raw"} {
		path := filepath.Join(f.TempDir(), "image")
		if out, err := exec.CommandContext(f.Context(), "/usr/bin/qemu-img", "create", "-q", "-f", format, path, "1M").CombinedOutput(); err != nil {
			f.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 64<<10)], format == "vpc")
	}
	f.Add([]byte("# Disk DescriptorFile\nRW 1 FLAT \"/etc/passwd\" 0\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, vhd bool) {
		declared := image.Raw
		if vhd {
			declared = image.VHD
		}
		found := worker.Inspect(bytes.NewReader(b), int64(len(b)), declared)
		if found.Format == "" || found.VirtualSize < 0 || (found.Problem != "" && found.VirtualSize != 0) {
			t.Fatalf("impossible answer %+v", found)
		}
	})
}

// A server that itself gives way to everything else checks images all the same:
// its workers cannot ask for more than it has.
func TestWorkersOfANiceServer(t *testing.T) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 19); err != nil {
			t.Error(err)
			return
		}
		r, err := worker.New(t.Context(), worker.Options{Self: []string{"mek", "image-worker"}})
		if err != nil {
			t.Error(err)
			return
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	<-done
}
