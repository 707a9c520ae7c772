package db_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// The shim stands between SQLite and the file system: it is SQLite's default VFS
// in this test process, and shows every write, flush, cut and removal of files
// below a folder to whoever watches that. Layouts: sqlite3_vfs and
// sqlite3_io_methods of sqlite3.h on 64-bit machines.

// op is one operation that changes the disk.
type op struct {
	kind string // write, sync, truncate, delete
	file string // its name in the watched folder
	at   int64  // offset, the new size, or whether a removal is flushed
	data []byte
}

// watch is told each operation before it is done. Another answer than 0 is the
// result code that SQLite gets instead.
type watch func(o op) (code int32, part int)

type shim struct {
	mu      sync.Mutex
	watches map[string]watch    // by folder
	names   map[uintptr]string  // of open files
	methods map[uintptr]methods // of open files
	tables  map[uintptr]uintptr // ours, by the original
	vfs     uintptr             // the original
	keep    []any               // what only C memory points to
}

// methods are the original ones of a file.
type methods struct{ table uintptr }

const (
	vfsSize, vfsName, vfsOpen, vfsDelete                     = 168, 24, 40, 48
	ioSize, ioClose, ioRead, ioWrite, ioTruncate, ioSyncSlot = 152, 8, 16, 24, 32, 40
)

var (
	theShim     *shim
	installOnce sync.Once
)

func fn[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&struct{ f F }{f})) }

func load[F any](at uintptr) F {
	p := struct{ p uintptr }{libc.AtomicLoadPUintptr(at)}
	return *(*F)(unsafe.Pointer(&p))
}

func installShim(t testing.TB) *shim {
	t.Helper()
	installOnce.Do(func() {
		s := &shim{watches: map[string]watch{}, names: map[uintptr]string{}, methods: map[uintptr]methods{}, tables: map[uintptr]uintptr{}}
		tls := libc.NewTLS()
		defer tls.Close()
		s.vfs = sqlite3.Xsqlite3_vfs_find(tls, 0)
		own := libc.Xmalloc(tls, vfsSize)
		libc.Xmemcpy(tls, own, s.vfs, vfsSize)
		name, err := libc.CString("shim")
		if err != nil {
			panic(err)
		}
		libc.AtomicStorePUintptr(own+16, 0)
		libc.AtomicStorePUintptr(own+vfsName, name)
		open, remove := s.open, s.remove
		s.keep = append(s.keep, open, remove)
		libc.AtomicStorePUintptr(own+vfsOpen, fn(open))
		libc.AtomicStorePUintptr(own+vfsDelete, fn(remove))
		if rc := sqlite3.Xsqlite3_vfs_register(tls, own, 1); rc != sqlite3.SQLITE_OK {
			panic(rc)
		}
		theShim = s
	})
	return theShim
}

// watch shows what happens below a folder until the test ends.
func (s *shim) watch(t testing.TB, dir string, w watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches[dir] = w
	t.Cleanup(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watches, dir)
	})
}

// ask tells the watcher of a path.
func (s *shim) ask(path string, o op) (code int32, part int) {
	s.mu.Lock()
	w := s.watches[filepath.Dir(path)]
	s.mu.Unlock()
	if w == nil || strings.HasSuffix(path, "-shm") {
		return 0, 0
	}
	o.file = filepath.Base(path)
	return w(o)
}

func (s *shim) open(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	rc := load[func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32](s.vfs+vfsOpen)(tls, vfs, name, file, flags, out)
	table := libc.AtomicLoadPUintptr(file)
	if rc != sqlite3.SQLITE_OK || table == 0 {
		return rc
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	own, ok := s.tables[table]
	if !ok {
		own = libc.Xmalloc(tls, ioSize)
		libc.Xmemcpy(tls, own, table, ioSize)
		end, write, truncate, sync := s.close, s.write, s.truncate, s.sync
		s.keep = append(s.keep, end, write, truncate, sync)
		libc.AtomicStorePUintptr(own+ioClose, fn(end))
		libc.AtomicStorePUintptr(own+ioWrite, fn(write))
		libc.AtomicStorePUintptr(own+ioTruncate, fn(truncate))
		libc.AtomicStorePUintptr(own+ioSyncSlot, fn(sync))
		s.tables[table] = own
	}
	s.names[file], s.methods[file] = libc.GoString(name), methods{table}
	libc.AtomicStorePUintptr(file, own)
	return rc
}

func (s *shim) of(file uintptr) (string, uintptr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[file], s.methods[file].table
}

func (s *shim) close(tls *libc.TLS, file uintptr) int32 {
	_, table := s.of(file)
	s.mu.Lock()
	delete(s.names, file)
	delete(s.methods, file)
	s.mu.Unlock()
	libc.AtomicStorePUintptr(file, table)
	return load[func(*libc.TLS, uintptr) int32](table+ioClose)(tls, file)
}

func (s *shim) write(tls *libc.TLS, file, buf uintptr, n int32, at int64) int32 {
	name, table := s.of(file)
	write := load[func(*libc.TLS, uintptr, uintptr, int32, int64) int32](table + ioWrite)
	code, part := s.ask(name, op{kind: "write", at: at, data: append([]byte{}, libc.GoBytes(buf, int(n))...)})
	if code != 0 {
		if part > 0 {
			write(tls, file, buf, int32(part), at)
		}
		return code
	}
	return write(tls, file, buf, n, at)
}

func (s *shim) truncate(tls *libc.TLS, file uintptr, size int64) int32 {
	name, table := s.of(file)
	if code, _ := s.ask(name, op{kind: "truncate", at: size}); code != 0 {
		return code
	}
	return load[func(*libc.TLS, uintptr, int64) int32](table+ioTruncate)(tls, file, size)
}

func (s *shim) sync(tls *libc.TLS, file uintptr, flags int32) int32 {
	name, table := s.of(file)
	if code, _ := s.ask(name, op{kind: "sync"}); code != 0 {
		return code
	}
	return load[func(*libc.TLS, uintptr, int32) int32](table+ioSyncSlot)(tls, file, flags)
}

func (s *shim) remove(tls *libc.TLS, vfs, name uintptr, flush int32) int32 {
	if code, _ := s.ask(libc.GoString(name), op{kind: "delete", at: int64(flush)}); code != 0 {
		return code
	}
	return load[func(*libc.TLS, uintptr, uintptr, int32) int32](s.vfs+vfsDelete)(tls, vfs, name, flush)
}

// disk is what a power failure leaves: what was flushed, and some of the rest.
type disk struct {
	durable map[string][]byte
	pending []op // since the last flush of their file, in order
}

func (d *disk) clone() *disk {
	c := &disk{durable: maps.Clone(d.durable), pending: append([]op{}, d.pending...)}
	return c
}

// do follows an operation.
func (d *disk) do(o op) {
	if o.kind == "delete" && o.at != 0 { // the folder is flushed after it
		d.pending = append(d.pending, o)
		o.kind = "sync"
	}
	if o.kind != "sync" {
		d.pending = append(d.pending, o)
		return
	}
	// SQLite flushes the folder with the first flush of a log or journal that it made.
	_, known := d.durable[o.file]
	var rest []op
	for _, p := range d.pending {
		if p.file == o.file || !known && p.kind == "delete" {
			d.apply(p, len(p.data))
		} else {
			rest = append(rest, p)
		}
	}
	d.pending = rest
}

// apply makes an operation durable, a write only up to n bytes.
func (d *disk) apply(o op, n int) {
	switch o.kind {
	case "delete":
		delete(d.durable, o.file)
	case "truncate":
		old := d.durable[o.file]
		b := make([]byte, o.at)
		copy(b, old)
		d.durable[o.file] = b
	case "write":
		old := d.durable[o.file]
		b := make([]byte, max(int64(len(old)), o.at+int64(n)))
		copy(b, old)
		copy(b[o.at:], o.data[:n])
		d.durable[o.file] = b
	}
}

// put writes what is durable into a folder.
func (d *disk) put(t testing.TB, dir string) {
	t.Helper()
	for name, content := range d.durable {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
