package storetest

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

// Make gives an empty store that lives as long as the test.
type Make func(t *testing.T, c clock.Clock) objectstore.Store

// Run runs the suite.
func Run(t *testing.T, make Make) {
	for _, c := range []struct {
		name string
		test func(*bench)
	}{
		{"Accounts", testAccounts}, {"Containers", testContainers}, {"Bytes", testBytes}, {"Trailers", testTrailers}, {"Refusals", testRefusals}, {"Names", testNames},
		{"Change", testChange}, {"Check", testCheck}, {"Unversioned", testUnversioned}, {"Versioned", testVersioned}, {"Suspended", testSuspended},
		{"Withdraw", testWithdraw}, {"Restore", testRestore},
		{"Copy", testCopy}, {"Move", testMove}, {"Expiry", testExpiry}, {"DeletedAccount", testDeletedAccount},
		{"ListingModel", testListingModel}, {"ContainersModel", testContainersModel}, {"VersionsModel", testVersionsModel},
		{"ParallelPuts", testParallelPuts}, {"Quota", testQuota}, {"ReadersKeepBytes", testReaders}, {"ParallelEverything", testStorm},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := clock.NewFake(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC))
			c.test(&bench{T: t, clock: k, s: make(t, k)})
		})
	}
}

const (
	account   = "AUTH_a"
	container = "box"
)

// bench is one test at its store.
type bench struct {
	*testing.T
	clock *clock.Fake
	s     objectstore.Store
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) want(err error, kind fault.Kind, what string) {
	b.Helper()
	if !fault.Is(err, kind) {
		b.Fatalf("%s: %v, want %v", what, err, kind)
	}
}

func (b *bench) box(name string, v objectstore.Versioning) {
	b.Helper()
	_, _, err := b.s.PutContainer(b.Context(), account, name, func(c *objectstore.Container, _ bool) error { c.Versioning = v; return nil }, event.Record{})
	b.must(err)
}

func key(name string) objectstore.Key {
	return objectstore.Key{Account: account, Container: container, Name: name}
}

func sum(b []byte) string {
	s := md5.Sum(b)
	return hex.EncodeToString(s[:])
}

func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i>>5) ^ seed
	}
	return b
}

func (b *bench) put(name string, body []byte) *objectstore.Object {
	b.Helper()
	o, err := b.s.Put(b.Context(), objectstore.Put{Key: key(name), Size: int64(len(body))}, bytes.NewReader(body))
	b.must(err)
	if o.ETag != sum(body) || o.Size != int64(len(body)) || !o.Current || o.Version == "" {
		b.Fatalf("put %s: %+v", name, o)
	}
	return o
}

func (b *bench) read(k objectstore.Key) []byte {
	b.Helper()
	o, content, err := b.s.Open(b.Context(), k)
	b.must(err)
	defer content.Close()
	got, err := io.ReadAll(content.Range(0, o.Size))
	b.must(err)
	return got
}

func (b *bench) holds(k objectstore.Key, want []byte) {
	b.Helper()
	if got := b.read(k); !bytes.Equal(got, want) {
		b.Fatalf("%s holds %d bytes %.20q, want %d %.20q", k.Name, len(got), got, len(want), want)
	}
}

func (b *bench) gone(k objectstore.Key) *fault.Fault {
	b.Helper()
	_, err := b.s.Head(b.Context(), k)
	b.want(err, fault.NotFound, "head of "+k.Name)
	_, _, err = b.s.Open(b.Context(), k)
	b.want(err, fault.NotFound, "open of "+k.Name)
	return fault.As(err)
}

func (b *bench) delete(k objectstore.Key) objectstore.Deletion {
	b.Helper()
	d, err := b.s.Delete(b.Context(), k, nil, event.Record{})
	b.must(err)
	return d
}

// counts compares a container's counts: objects, bytes, versions, all bytes.
func (b *bench) counts(objects, bytes, versions, all int64) {
	b.Helper()
	c, err := b.s.Container(b.Context(), account, container)
	b.must(err)
	if c.Objects != objects || c.Bytes != bytes || c.Versions != versions || c.AllBytes != all {
		b.Fatalf("counts %d objects, %d bytes, %d versions, %d in all; want %d %d %d %d", c.Objects, c.Bytes, c.Versions, c.AllBytes, objects, bytes, versions, all)
	}
	a, err := b.s.Account(b.Context(), account)
	b.must(err)
	if a.Containers != 1 || a.Objects != objects || a.Bytes != bytes || a.AllBytes != all {
		b.Fatalf("the account counts %+v", a)
	}
}

func (b *bench) list(l objectstore.Listing) (out []string) {
	b.Helper()
	if l.Limit == 0 {
		l.Limit = 1000
	}
	entries, err := b.s.Objects(b.Context(), account, container, l)
	b.must(err)
	for _, e := range entries {
		switch {
		case e.Subdir != "":
			out = append(out, e.Subdir+"…")
		case e.Object.DeleteMarker:
			out = append(out, e.Object.Name+" deleted")
		default:
			out = append(out, e.Object.Name)
		}
	}
	return out
}

// sizes are around what back ends may treat in different ways.
func sizes() []int {
	return []int{0, 1, 4096, 32 << 10, 32<<10 + 1, 256 << 10, 256<<10 + 1, 3<<20 + 17}
}

var errBody = errors.New("connection reset")

// brokenBody ends with an error after some bytes.
func brokenBody(n int, err error) io.Reader {
	return io.MultiReader(bytes.NewReader(pattern(n, 0)), &failing{err})
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

func words(list []string) string { return strings.Join(list, " ") }
