package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/objectstore"
)

const largeBody = 256 << 20

// endless gives the same bytes again and again, as fast as memory.
type endless struct{ block []byte }

func (e endless) Read(p []byte) (int, error) { return copy(p, e.block), nil }

func newBody(n int64) io.Reader {
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(i * i >> 7)
	}
	return io.LimitReader(endless{b}, n)
}

func BenchmarkPutSmall(b *testing.B) {
	for _, size := range []int{100, 4 << 10, 32 << 10, 64 << 10} {
		body := make([]byte, size)
		b.Run(fmt.Sprintf("%d/one", size), func(b *testing.B) {
			s := fresh(b, Config{})
			for i := 0; b.Loop(); i++ {
				store(b, s, fmt.Sprint(i), body)
			}
		})
		b.Run(fmt.Sprintf("%d/many", size), func(b *testing.B) {
			s := fresh(b, Config{})
			var n atomic.Int64
			b.SetParallelism(16)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					store(b, s, fmt.Sprint(n.Add(1)), body)
				}
			})
		})
	}
}

func BenchmarkGetSmall(b *testing.B) {
	s := fresh(b, Config{})
	store(b, s, "x", make([]byte, 4<<10))
	for b.Loop() {
		o, content, err := s.Open(b.Context(), keyOf("x"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, content.Range(0, o.Size)); err != nil {
			b.Fatal(err)
		}
		content.Close()
	}
}

// BenchmarkPutLarge compares an upload with what bounds it: the disk, and MD5.
func BenchmarkPutLarge(b *testing.B) {
	dir := b.TempDir()
	s := fresh(b, Config{Dir: filepath.Join(dir, "objects")})
	var took, disk, hash []time.Duration
	var memory uint64
	body := newBody(1 << 62)
	for b.Loop() { // by turns, since the disk's speed changes
		disk = append(disk, timed(b, func() error { return plainWrite(filepath.Join(dir, "plain")) }))
		hash = append(hash, timed(b, func() error { _, err := io.Copy(md5.New(), newBody(largeBody)); return err }))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		took = append(took, timed(b, func() error {
			_, err := s.Put(b.Context(), objectstore.Put{Key: keyOf("x"), Size: largeBody}, io.LimitReader(body, largeBody))
			return err
		}))
		runtime.ReadMemStats(&after)
		memory = max(memory, after.TotalAlloc-before.TotalAlloc)
	}
	put, bound := median(took), max(median(disk), median(hash))
	b.ReportMetric(speed(put), "put-MB/s")
	b.ReportMetric(speed(median(disk)), "disk-MB/s")
	b.ReportMetric(speed(median(hash)), "md5-MB/s")
	b.ReportMetric(float64(bound)/float64(put), "of-bound")
	b.ReportMetric(float64(memory)/1024, "KiB/stream")
}

func plainWrite(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{newBody(largeBody)}, block); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

func timed(b *testing.B, fn func() error) time.Duration {
	b.Helper()
	begun := time.Now()
	if err := fn(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begun)
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func speed(d time.Duration) float64 { return largeBody / 1e6 / d.Seconds() }

// BenchmarkGetLarge compares a download through a TCP connection with a bare
// sendfile of the same file.
func BenchmarkGetLarge(b *testing.B) {
	s := fresh(b, Config{})
	if _, err := s.Put(b.Context(), objectstore.Put{Key: keyOf("x"), Size: largeBody}, newBody(largeBody)); err != nil {
		b.Fatal(err)
	}
	var file string
	_ = filepath.WalkDir(filepath.Join(s.Dir, dataName), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			file = path
		}
		return err
	})
	conn := sinkConn(b)
	var took, bare []time.Duration
	for b.Loop() {
		bare = append(bare, timed(b, func() error { return bareSendfile(conn, file) }))
		took = append(took, timed(b, func() error {
			o, content, err := s.Open(b.Context(), keyOf("x"))
			if err != nil {
				return err
			}
			defer content.Close()
			_, err = io.Copy(conn, content.Range(0, o.Size))
			return err
		}))
	}
	b.ReportMetric(speed(median(took)), "get-MB/s")
	b.ReportMetric(speed(median(bare)), "sendfile-MB/s")
	b.ReportMetric(float64(median(bare))/float64(median(took)), "of-sendfile")
}

// sinkConn is a connection whose other end reads everything.
func sinkConn(b *testing.B) *net.TCPConn {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 1<<20))
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close(); l.Close() })
	return c.(*net.TCPConn)
}

func bareSendfile(c *net.TCPConn, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	left := largeBody
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		for left > 0 {
			n, err := unix.Sendfile(int(fd), int(f.Fd()), nil, min(left, 4<<20))
			if err == unix.EAGAIN {
				return false
			}
			if err != nil {
				sent = err
				return true
			}
			left -= n
		}
		return true
	})
	if err == nil {
		err = sent
	}
	return err
}

// BenchmarkMillion fills a container with a million objects and looks at pages
// of its listing, and at puts before and after. It takes one round.
func BenchmarkMillion(b *testing.B) {
	const million, batch = 1_000_000, 2000
	s := fresh(b, Config{})
	name := func(i int) string { return fmt.Sprintf("folder-%03d/object-%07d", i/1000, i*7919%million) }
	empty := puts(b, s, "before")
	begun := time.Now()
	for at := 0; at < million; at += batch {
		err := s.change(context.Background(), []string{"a"}, false, func(t *tx) error {
			for i := range batch {
				p := objectstore.Put{Key: keyOf(name(at + i)), ContentType: "text/plain", Headers: objectstore.Headers{"X-Object-Meta-Number": fmt.Sprint(i)}}
				if _, err := t.putChecked(p, &received{etag: "d41d8cd98f00b204e9800998ecf8427e"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Logf("filled in %v", time.Since(begun))
	full := puts(b, s, "after")
	for b.Loop() {
		for _, l := range []struct {
			unit string
			objectstore.Listing
		}{
			{"p99-page1000-ms", objectstore.Listing{Limit: 1000}},
			{"p99-page10000-ms", objectstore.Listing{Limit: 10000}},
			{"p99-reverse-ms", objectstore.Listing{Limit: 1000, Reverse: true}},
			{"p99-folder-ms", objectstore.Listing{Limit: 1000, Prefix: "folder-500/"}},
			{"p99-delimiter-ms", objectstore.Listing{Limit: 1000, Delimiter: "/"}},
		} {
			b.ReportMetric(pages(b, s, l.Listing, name), l.unit)
		}
	}
	b.ReportMetric(float64(empty.Microseconds())/1000, "put-empty-ms")
	b.ReportMetric(float64(full.Microseconds())/1000, "put-million-ms")
	b.ReportMetric(float64(full)/float64(empty), "put-ratio")
}

// puts is the median of a put.
func puts(b *testing.B, s *Store, prefix string) time.Duration {
	var took []time.Duration
	for i := range 2000 {
		took = append(took, timed(b, func() error {
			_, err := s.Put(context.Background(), objectstore.Put{Key: keyOf(fmt.Sprint("folder-", i%1000, "/", prefix, i)), Size: 100}, bytes.NewReader(make([]byte, 100)))
			return err
		}))
	}
	for i := range 2000 {
		if _, err := s.Delete(context.Background(), keyOf(fmt.Sprint("folder-", i%1000, "/", prefix, i)), nil, event.Record{}); err != nil {
			b.Fatal(err)
		}
	}
	return median(took)
}

// pages is the 99th percentile, in milliseconds, of pages all over a container.
func pages(b *testing.B, s *Store, l objectstore.Listing, name func(int) string) float64 {
	var took []time.Duration
	for i := range 300 {
		if l.Prefix == "" && l.Delimiter == "" {
			l.Marker = name((i + 1) * 3300)
		}
		took = append(took, timed(b, func() error {
			page, err := s.Objects(context.Background(), "a", "c", l)
			if err == nil && len(page) == 0 {
				err = io.ErrUnexpectedEOF
			}
			return err
		}))
	}
	slices.Sort(took)
	return float64(took[len(took)*99/100].Microseconds()) / 1000
}
