package db

import (
	"errors"
	"unsafe"

	"modernc.org/libc"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite writes two pieces for each page that a transaction changed to the log of
// writes, the head of a frame and the page, each by a call of the system. A file
// system of ours stands between it and its own one, and gathers pieces that follow
// each other: they are written at once before they are flushed, which each commit
// does before others are told of it. Who asks for something by the same handle
// gets them written first, so that nothing differs but the number of calls.

// mostGathered bounds what is written at once. SQLite's file system takes less than
// 128 KiB in one call.
const mostGathered = 120_000

// system is our file system; SQLite knows it by the first member.
type system struct {
	sqlite3.Tsqlite3_vfs
	below uintptr // SQLite's own
}

// methods are those of one log of writes; SQLite knows them by the first member.
type methods struct {
	sqlite3.Tsqlite3_io_methods
	below uintptr // SQLite's own
	kept  uintptr // what is not written yet; 0: nothing ever was
	size  int64   // of it
	at    int64   // where in the file it begins
}

// in is what C memory holds, which Go neither moves nor frees.
func in[T any](at uintptr) *T { return *(**T)(unsafe.Pointer(&at)) }

// pointer is how C calls a function; it is none that captures something.
func pointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&struct{ f F }{f})) }

// function is what a pointer of C calls.
func function[F any](at uintptr) F {
	p := struct{ p uintptr }{at}
	return *(*F)(unsafe.Pointer(&p))
}

// gatherWrites gives the name of our file system, over the one that SQLite takes now
// if it is told nothing. Two handles that are opened side by side may make one each.
func gatherWrites() (name string, err error) {
	tls := libc.NewTLS()
	defer tls.Close()
	below := sqlite3.Xsqlite3_vfs_find(tls, 0)
	if below == 0 {
		return "", errors.New("SQLite has no file system")
	}
	name = "gathered-" + libc.GoString(in[sqlite3.Tsqlite3_vfs](below).FzName)
	text, err := libc.CString(name)
	if err != nil {
		return "", err
	}
	if sqlite3.Xsqlite3_vfs_find(tls, text) != 0 {
		libc.Xfree(tls, text)
		return name, nil
	}
	at := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(system{}))) // for as long as the process
	if at == 0 {
		return "", errors.New("no memory for a file system of SQLite")
	}
	own := in[system](at)
	*own = system{*in[sqlite3.Tsqlite3_vfs](below), below}
	own.FpNext, own.FzName, own.FxOpen = 0, text, pointer(openGathered)
	if rc := sqlite3.Xsqlite3_vfs_register(tls, at, 0); rc != sqlite3.SQLITE_OK {
		return "", errors.New("SQLite does not take a file system")
	}
	return name, nil
}

func openGathered(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32 {
	below := in[system](vfs).below
	open := function[func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32](in[sqlite3.Tsqlite3_vfs](below).FxOpen)
	rc := open(tls, below, name, file, flags, out)
	table := &in[sqlite3.Tsqlite3_file](file).FpMethods
	if rc != sqlite3.SQLITE_OK || flags&sqlite3.SQLITE_OPEN_WAL == 0 || *table == 0 {
		return rc
	}
	at := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(methods{})))
	if at == 0 {
		return rc // it is written as it comes
	}
	m := in[methods](at)
	*m = methods{Tsqlite3_io_methods: *in[sqlite3.Tsqlite3_io_methods](*table), below: *table}
	m.FxClose, m.FxRead, m.FxWrite, m.FxTruncate = pointer(closeGathered), pointer(readGathered), pointer(writeGathered), pointer(truncateGathered)
	m.FxSync, m.FxFileSize = pointer(syncGathered), pointer(sizeGathered)
	*table = at
	return rc
}

// of gives a file's methods, and SQLite's own ones.
func of(file uintptr) (own *methods, below *sqlite3.Tsqlite3_io_methods) {
	own = in[methods](in[sqlite3.Tsqlite3_file](file).FpMethods)
	return own, in[sqlite3.Tsqlite3_io_methods](own.below)
}

// writeOut writes what was gathered. What fails belongs to a transaction that fails
// with it: those that were committed have been flushed.
func writeOut(tls *libc.TLS, file uintptr) int32 {
	own, below := of(file)
	size := own.size
	if size == 0 {
		return sqlite3.SQLITE_OK
	}
	own.size = 0
	return function[func(tls *libc.TLS, file, buf uintptr, n int32, at int64) int32](below.FxWrite)(tls, file, own.kept, int32(size), own.at)
}

func writeGathered(tls *libc.TLS, file, buf uintptr, n int32, at int64) int32 {
	own, below := of(file)
	if own.kept == 0 {
		own.kept = libc.Xmalloc(tls, mostGathered)
	}
	if own.size > 0 && (at != own.at+own.size || own.size+int64(n) > mostGathered) {
		if rc := writeOut(tls, file); rc != sqlite3.SQLITE_OK {
			return rc
		}
	}
	if own.kept == 0 || n > mostGathered {
		return function[func(tls *libc.TLS, file, buf uintptr, n int32, at int64) int32](below.FxWrite)(tls, file, buf, n, at)
	}
	if own.size == 0 {
		own.at = at
	}
	libc.Xmemcpy(tls, own.kept+uintptr(own.size), buf, libc.Tsize_t(n))
	own.size += int64(n)
	return sqlite3.SQLITE_OK
}

func readGathered(tls *libc.TLS, file, buf uintptr, n int32, at int64) int32 {
	_, below := of(file)
	if rc := writeOut(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[func(tls *libc.TLS, file, buf uintptr, n int32, at int64) int32](below.FxRead)(tls, file, buf, n, at)
}

func truncateGathered(tls *libc.TLS, file uintptr, size int64) int32 {
	_, below := of(file)
	if rc := writeOut(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[func(tls *libc.TLS, file uintptr, size int64) int32](below.FxTruncate)(tls, file, size)
}

func syncGathered(tls *libc.TLS, file uintptr, flags int32) int32 {
	_, below := of(file)
	if rc := writeOut(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[func(tls *libc.TLS, file uintptr, flags int32) int32](below.FxSync)(tls, file, flags)
}

func sizeGathered(tls *libc.TLS, file, size uintptr) int32 {
	_, below := of(file)
	if rc := writeOut(tls, file); rc != sqlite3.SQLITE_OK {
		return rc
	}
	return function[func(tls *libc.TLS, file, size uintptr) int32](below.FxFileSize)(tls, file, size)
}

func closeGathered(tls *libc.TLS, file uintptr) int32 {
	own, below := of(file)
	rc := writeOut(tls, file)
	at := in[sqlite3.Tsqlite3_file](file).FpMethods
	in[sqlite3.Tsqlite3_file](file).FpMethods = own.below
	closed := function[func(tls *libc.TLS, file uintptr) int32](below.FxClose)(tls, file)
	libc.Xfree(tls, own.kept)
	libc.Xfree(tls, at)
	if closed != sqlite3.SQLITE_OK {
		return closed
	}
	return rc
}
