package main

import (
	"context"
	"crypto/md5"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/identity/passwords"
)

// piece is how much is hashed, written or sent at once.
const piece = 64 << 20

func (m *machine) database(ctx context.Context) error {
	d, insert, err := rows(ctx, filepath.Join(m.dir, "limits.db"))
	if err != nil {
		return err
	}
	defer d.Close()
	n := 0
	if err := m.time("commit", "one row inserted and durable, one writer", func() error { n++; return insert(n) }); err != nil {
		return err
	}
	err = m.sample("commit-paced", "ms", "the same, 55 ms after the one before: who makes servers or volumes one by one, and waits for each, comes at that pace", func() (float64, error) {
		<-m.clock.After(55 * time.Millisecond)
		began := m.clock.Now()
		n++
		err := insert(n)
		return float64(m.clock.Now().Sub(began).Nanoseconds()) / 1e6, err
	})
	if err != nil {
		return err
	}
	err = m.time("commit-64", "64 rows by 64 writers at once, all durable", func() error {
		var all sync.WaitGroup
		errs := make([]error, 64)
		for i := range errs {
			n++
			id := n
			all.Go(func() { errs[i] = insert(id) })
		}
		all.Wait()
		return firstOf(errs)
	})
	if err != nil {
		return err
	}
	for ; n < 1000; n++ {
		if err := insert(n + 1); err != nil {
			return err
		}
	}
	err = m.time("query", "one row by its key", func() error {
		var text string
		return d.QueryRowContext(ctx, "SELECT data FROM limits_rows WHERE id = $1", 7).Scan(&text)
	})
	if err != nil {
		return err
	}
	return m.time("page", "1,000 rows read, their JSON decoded and encoded", func() error { return page(ctx, d) })
}

// rows opens a new database of one table; insert makes one row of it durable.
func rows(ctx context.Context, file string) (d *db.DB, insert func(id int) error, err error) {
	if d, err = db.Open(ctx, "sqlite://"+file); err != nil {
		return nil, nil, err
	}
	err = d.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "CREATE TABLE limits_rows (id bigint PRIMARY KEY, data text NOT NULL)")
		return err
	})
	if err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	return d, func(id int) error {
		return d.Write(ctx, func(tx *db.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO limits_rows (id, data) VALUES ($1, $2)", id, `{"name": "one of many", "status": "ACTIVE", "number": 42}`)
			return err
		})
	}, nil
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func page(ctx context.Context, d *db.DB) error {
	rows, err := d.QueryContext(ctx, "SELECT id, data FROM limits_rows ORDER BY id LIMIT 1000")
	if err != nil {
		return err
	}
	defer rows.Close()
	type row struct {
		ID   int64          `json:"id"`
		Data map[string]any `json:"data"`
	}
	var out []row
	for rows.Next() {
		var r row
		var text []byte
		if err := rows.Scan(&r.ID, &text); err != nil {
			return err
		}
		if err := json.Unmarshal(text, &r.Data); err != nil {
			return err
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = json.Marshal(out)
	return err
}

// login is what every login has to do.
func (m *machine) login(ctx context.Context, hash func() error) error {
	d, insert, err := rows(ctx, filepath.Join(m.dir, "login.db"))
	if err != nil {
		return err
	}
	n := 0
	err = m.time("password-commit", "the same, and then one row inserted and durable", func() error {
		n++
		return errors.Join(hash(), insert(n))
	})
	return errors.Join(err, d.Close())
}

func (m *machine) hashes(ctx context.Context) error {
	h := passwords.New(passwords.DefaultCost, 1)
	hash := func() error { _, err := h.Hash(ctx, "a password"); return err }
	if err := m.time("password", "one password hashed as identity does (argon2id)", hash); err != nil {
		return err
	}
	if err := m.login(ctx, hash); err != nil {
		return err
	}
	bytes := id.Bytes(piece)
	if err := m.rate("md5", "64 MiB hashed", piece, func() error { return sum(md5.New(), bytes) }); err != nil {
		return err
	}
	return m.rate("md5-sha512", "64 MiB hashed by MD5 and SHA-512 side by side", piece, func() error {
		var both sync.WaitGroup
		both.Go(func() { _ = sum(md5.New(), bytes) })
		both.Go(func() { _ = sum(sha512.New(), bytes) })
		both.Wait()
		return nil
	})
}

// sum never fails: hashes take all that they are given.
func sum(h hash.Hash, b []byte) error {
	_, err := h.Write(b)
	h.Sum(nil)
	return err
}

func (m *machine) disk(context.Context) error {
	return m.rate("disk-write", "64 MiB written to a new file, with fsync", piece, m.file)
}

// file makes the file of a measurement.
func (m *machine) file() error {
	bytes := id.Bytes(1 << 20)
	f, err := os.Create(filepath.Join(m.dir, "file"))
	if err != nil {
		return err
	}
	defer f.Close()
	for range piece / len(bytes) {
		if _, err := f.Write(bytes); err != nil {
			return err
		}
	}
	return f.Sync()
}

// network sends a file by sendfile: io.Copy from a file to a TCP connection is one.
func (m *machine) network(ctx context.Context) error {
	if err := m.file(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	var serving sync.WaitGroup
	serving.Go(func() { serve(l, filepath.Join(m.dir, "file")) })
	tcp := func() (io.ReadCloser, error) { return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String()) }
	err = m.rate("sendfile", "64 MiB of a file over loopback to a reader that throws it away", piece, func() error {
		return drain(tcp)
	})
	l.Close()
	serving.Wait()
	if err != nil {
		return err
	}
	return m.loopback(ctx)
}

// loopback sends bytes from memory.
func (m *machine) loopback(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		bytes := id.Bytes(1 << 20)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			for range piece / len(bytes) {
				if _, err := c.Write(bytes); err != nil {
					break // the reader misses them
				}
			}
			c.Close()
		}
	})
	err = m.rate("loopback", "64 MiB from memory over TCP on loopback to a reader that throws it away", piece, func() error {
		return drain(func() (io.ReadCloser, error) { return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String()) })
	})
	l.Close()
	serving.Wait()
	return err
}

// drain reads a piece to nowhere.
func drain(open func() (io.ReadCloser, error)) error {
	c, err := open()
	if err != nil {
		return err
	}
	defer c.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 256<<10))
	if err == nil && n != piece {
		err = fmt.Errorf("%d bytes came", n)
	}
	return err
}

// serve ends with the listener. What goes wrong before, the reader notices by
// the bytes that are missing.
func serve(l net.Listener, path string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		f, err := os.Open(path)
		if err == nil {
			_, _ = io.Copy(c, f)
			f.Close()
		}
		c.Close()
	}
}
