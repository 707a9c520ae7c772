package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing/iotest"
	"time"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

var errRefused = errors.New("refused by the caller")

func testAccounts(b *bench) {
	ctx := b.Context()
	_, err := b.s.Account(ctx, account)
	b.want(err, fault.NotFound, "an account that is not there")
	_, err = b.s.Containers(ctx, account, objectstore.Listing{Limit: 1})
	b.want(err, fault.NotFound, "containers of an account that is not there")
	b.want(b.s.DeleteAccount(ctx, account, event.Record{}), fault.NotFound, "delete of an account that is not there")
	if _, err := b.s.ChangeAccount(ctx, account, func(*objectstore.Account) error { return errRefused }, event.Record{}); !errors.Is(err, errRefused) {
		b.Fatalf("a refused change: %v", err)
	}
	_, err = b.s.Account(ctx, account)
	b.want(err, fault.NotFound, "an account whose making was refused")
	_, err = b.s.ChangeAccount(ctx, account, func(a *objectstore.Account) error {
		a.Headers["X-Account-Meta-Color"], a.Objects = "blue", 77
		return nil
	}, event.Record{})
	b.must(err)
	a, err := b.s.Account(ctx, account)
	b.must(err)
	if a.Headers["X-Account-Meta-Color"] != "blue" || a.Objects != 0 || a.CreatedAt.IsZero() || a.ChangedAt.Before(a.CreatedAt) {
		b.Fatalf("the account is %+v", a)
	}
	for _, name := range []string{"AUTH_c", "AUTH_b"} {
		_, err := b.s.ChangeAccount(ctx, name, nil, event.Record{})
		b.must(err)
	}
	list, err := b.s.Accounts(ctx, "", 2)
	b.must(err)
	rest, err := b.s.Accounts(ctx, "AUTH_b", 2)
	b.must(err)
	if words(list) != "AUTH_a AUTH_b" || words(rest) != "AUTH_c" {
		b.Fatalf("accounts %v, then %v", list, rest)
	}
}

func testContainers(b *bench) {
	ctx := b.Context()
	_, err := b.s.Container(ctx, account, container)
	b.want(err, fault.NotFound, "a container that is not there")
	_, err = b.s.Objects(ctx, account, container, objectstore.Listing{Limit: 1})
	b.want(err, fault.NotFound, "objects of a container that is not there")
	b.want(b.s.DeleteContainer(ctx, account, container, event.Record{}), fault.NotFound, "delete of a container that is not there")
	_, _, err = b.s.PutContainer(ctx, account, container, func(*objectstore.Container, bool) error { return errRefused }, event.Record{})
	if !errors.Is(err, errRefused) {
		b.Fatalf("a refused container: %v", err)
	}
	for i := range 2 {
		c, created, err := b.s.PutContainer(ctx, account, container, func(c *objectstore.Container, created bool) error {
			if created != (i == 0) {
				b.Errorf("round %d: created %v", i, created)
			}
			c.Headers[fmt.Sprint("X-Container-Meta-", i)], c.Bytes = "x", 99
			return nil
		}, event.Record{})
		b.must(err)
		if created != (i == 0) || len(c.Headers) != i+1 || c.Bytes != 0 {
			b.Fatalf("round %d: %v, %+v", i, created, c)
		}
	}
	b.put("x", []byte("12345"))
	b.counts(1, 5, 0, 5)
	b.want(b.s.DeleteContainer(ctx, account, container, event.Record{}), fault.Conflict, "delete of a container with an object")
	b.delete(key("x"))
	b.counts(0, 0, 0, 0)
	b.must(b.s.DeleteContainer(ctx, account, container, event.Record{}))
	_, err = b.s.Container(ctx, account, container)
	b.want(err, fault.NotFound, "a deleted container")
	a, err := b.s.Account(ctx, account)
	b.must(err)
	if a.Containers != 0 {
		b.Fatalf("the account counts %d containers", a.Containers)
	}
}

func testBytes(b *bench) {
	b.box(container, objectstore.Unversioned)
	total := int64(0)
	for _, n := range sizes() {
		for _, announced := range []int64{int64(n), -1} {
			name, body := fmt.Sprint(n, announced < 0), pattern(n, 1)
			o, err := b.s.Put(b.Context(), objectstore.Put{Key: key(name), Size: announced, ETag: sum(body), Limit: int64(n), ContentType: "text/x",
				Headers: objectstore.Headers{"X-Object-Meta-A": "ü"}, ListedSize: 3, ListedETag: "list"}, iotest.HalfReader(bytes.NewReader(body)))
			b.must(err)
			total += int64(n)
			h, err := b.s.Head(b.Context(), key(name))
			b.must(err)
			for _, o := range []*objectstore.Object{o, h} {
				if o.ETag != sum(body) || o.Size != int64(n) || o.ContentType != "text/x" || !maps.Equal(o.Headers, objectstore.Headers{"X-Object-Meta-A": "ü"}) ||
					o.ListedSize != 3 || o.ListedETag != "list" || o.Version != objectstore.NullVersion || !o.ModifiedAt.Equal(o.CreatedAt) || o.Key.Name != name {
					b.Fatalf("%s: %+v", name, o)
				}
			}
			b.holds(key(name), body)
			b.ranges(name, body)
		}
	}
	b.counts(int64(2*len(sizes())), total, 0, total)
}

// ranges reads pieces, by both ways that a reader has.
func (b *bench) ranges(name string, body []byte) {
	b.Helper()
	_, content, err := b.s.Open(b.Context(), key(name))
	b.must(err)
	defer content.Close()
	for _, at := range []int{0, 1, len(body) / 3, len(body) - 1} {
		for _, n := range []int{0, 1, len(body) / 2, len(body) - at} {
			if at < 0 || n < 0 || at+n > len(body) {
				continue
			}
			got, err := io.ReadAll(content.Range(int64(at), int64(n)))
			b.must(err)
			var direct bytes.Buffer
			m, err := content.Range(int64(at), int64(n)).(io.WriterTo).WriteTo(&direct)
			b.must(err)
			if !bytes.Equal(got, body[at:at+n]) || !bytes.Equal(direct.Bytes(), got) || m != int64(n) {
				b.Fatalf("%d bytes from %d of %s: %d and %d", n, at, name, len(got), direct.Len())
			}
		}
	}
}

func testRefusals(b *bench) {
	_, err := b.s.Put(b.Context(), objectstore.Put{Key: key("x")}, nil)
	b.want(err, fault.NotFound, "put into nothing")
	b.box(container, objectstore.Unversioned)
	own := fault.New(fault.Forbidden, "signature").With("SignatureDoesNotMatch")
	for _, n := range sizes() {
		body := pattern(n, 2)
		long := int64(n + 1)
		for _, c := range []struct {
			name string
			p    objectstore.Put
			body io.Reader
			kind fault.Kind
			code string
		}{
			{"checksum", objectstore.Put{Size: int64(n), ETag: sum([]byte("else"))}, bytes.NewReader(body), fault.Invalid, objectstore.CodeChecksum},
			{"short", objectstore.Put{Size: long}, bytes.NewReader(body), fault.Invalid, objectstore.CodeIncomplete},
			{"long", objectstore.Put{Size: int64(n)}, bytes.NewReader(pattern(n+1, 0)), fault.Invalid, objectstore.CodeIncomplete},
			{"announced", objectstore.Put{Size: long, Limit: long - 1}, bytes.NewReader(body), fault.TooLarge, ""},
			{"limit", objectstore.Put{Size: -1, Limit: long}, bytes.NewReader(pattern(n+2, 0)), fault.TooLarge, ""},
			{"broken", objectstore.Put{Size: -1}, brokenBody(n, errBody), fault.Invalid, objectstore.CodeIncomplete},
			{"cut", objectstore.Put{Size: -1}, brokenBody(n, io.ErrUnexpectedEOF), fault.Invalid, objectstore.CodeIncomplete},
			{"own fault", objectstore.Put{Size: -1}, brokenBody(n, own), fault.Forbidden, "SignatureDoesNotMatch"},
			{"check", objectstore.Put{Size: int64(n), Check: func(*objectstore.Account, *objectstore.Container, *objectstore.Object) error { return own }},
				bytes.NewReader(body), fault.Forbidden, "SignatureDoesNotMatch"},
		} {
			if c.name == "announced" && n == 0 {
				continue // a limit of 0 is none
			}
			c.p.Key = key("x")
			_, err := b.s.Put(b.Context(), c.p, c.body)
			if b.want(err, c.kind, fmt.Sprint(n, " ", c.name)); fault.As(err).Code != c.code {
				b.Fatalf("%d %s: code %q", n, c.name, fault.As(err).Code)
			}
			b.gone(key("x"))
		}
	}
	b.counts(0, 0, 0, 0)
}

func testNames(b *bench) {
	b.box(container, objectstore.Unversioned)
	for _, name := range []string{"/", "a/b", "//", "..", "\x01", "\u00ff", "\U0010ffff", strings.Repeat("ü", 512), " ", "a\nb"} {
		b.put(name, []byte(name))
		b.holds(key(name), []byte(name))
		if got := b.list(objectstore.Listing{Prefix: name, Limit: 1}); len(got) != 1 || got[0] != name {
			b.Fatalf("%q is listed as %q", name, got)
		}
		b.delete(key(name))
		b.gone(key(name))
	}
	for _, name := range []string{"", "a\x00b", "\xff", strings.Repeat("a", 1025)} {
		_, err := b.s.Put(b.Context(), objectstore.Put{Key: key(name)}, bytes.NewReader(nil))
		b.want(err, fault.Invalid, fmt.Sprintf("name %q", name))
	}
}

func testChange(b *bench) {
	b.box(container, objectstore.Unversioned)
	was := b.put("x", pattern(100<<10, 3))
	when := b.clock.Now().Add(time.Hour)
	o, err := b.s.ChangeObject(b.Context(), key("x"), func(o *objectstore.Object) error {
		o.Headers, o.ContentType, o.DeleteAt, o.Size, o.ETag = objectstore.Headers{"X-Object-Meta-B": "1"}, "a/b", when, 1, "other"
		return nil
	}, event.Record{})
	b.must(err)
	h, err := b.s.Head(b.Context(), key("x"))
	b.must(err)
	for _, o := range []*objectstore.Object{o, h} {
		if o.Headers["X-Object-Meta-B"] != "1" || o.ContentType != "a/b" || !o.DeleteAt.Equal(when) || o.Size != was.Size || o.ETag != was.ETag ||
			!o.CreatedAt.Equal(was.CreatedAt) || !o.ModifiedAt.After(was.ModifiedAt) {
			b.Fatalf("changed: %+v", o)
		}
	}
	if _, err := b.s.ChangeObject(b.Context(), key("x"), func(*objectstore.Object) error { return errRefused }, event.Record{}); !errors.Is(err, errRefused) {
		b.Fatalf("a refused change: %v", err)
	}
	_, err = b.s.ChangeObject(b.Context(), key("y"), nil, event.Record{})
	b.want(err, fault.NotFound, "change of nothing")
	b.holds(key("x"), pattern(100<<10, 3))
}

func testCheck(b *bench) {
	b.box(container, objectstore.Unversioned)
	var seen []string
	for i := range 2 {
		_, err := b.s.Put(b.Context(), objectstore.Put{Key: key("x"), Size: 3, Check: func(a *objectstore.Account, c *objectstore.Container, o *objectstore.Object) error {
			seen = append(seen, fmt.Sprint(a.Objects, a.Bytes, c.Objects, c.AllBytes, o != nil))
			return nil
		}}, strings.NewReader(fmt.Sprint("ab", i)))
		b.must(err)
	}
	if words(seen) != "0 0 0 0 false 1 3 1 3 true" {
		b.Fatalf("checks saw %v", seen)
	}
	_, err := b.s.Delete(b.Context(), key("x"), func(o *objectstore.Object) error {
		if o == nil || o.ETag != sum([]byte("ab1")) {
			b.Errorf("delete sees %+v", o)
		}
		return errRefused
	}, event.Record{})
	if !errors.Is(err, errRefused) {
		b.Fatalf("a refused delete: %v", err)
	}
	b.holds(key("x"), []byte("ab1"))
}

func testExpiry(b *bench) {
	b.box(container, objectstore.Unversioned)
	put := func(name string, after time.Duration) {
		b.Helper()
		_, err := b.s.Put(b.Context(), objectstore.Put{Key: key(name), Size: -1, DeleteAt: b.clock.Now().Add(after)}, strings.NewReader(name))
		b.must(err)
	}
	put("late", time.Hour)
	put("soon", time.Second)
	put("kept", time.Second)
	put("sooner", time.Millisecond)
	b.put("kept", []byte("for ever"))
	b.clock.Advance(time.Minute)
	for _, name := range []string{"soon", "sooner"} {
		b.gone(key(name))
		_, err := b.s.Delete(b.Context(), key(name), nil, event.Record{})
		b.want(err, fault.NotFound, "delete of what has expired")
		_, err = b.s.ChangeObject(b.Context(), key(name), func(*objectstore.Object) error { return nil }, event.Record{})
		b.want(err, fault.NotFound, "change of what has expired")
	}
	b.holds(key("late"), []byte("late"))
	b.holds(key("kept"), []byte("for ever"))
	list, err := b.s.Expired(b.Context(), b.clock.Now(), 10)
	b.must(err)
	if len(list) != 2 || list[0].Name != "sooner" || list[1].Name != "soon" || list[0].Container != container {
		b.Fatalf("expired: %+v", list)
	}
	_, err = b.s.Put(b.Context(), objectstore.Put{Key: key("soon"), Size: 1, Check: func(_ *objectstore.Account, _ *objectstore.Container, o *objectstore.Object) error {
		if o != nil {
			b.Error("an expired object is current")
		}
		return nil
	}}, strings.NewReader("1"))
	b.must(err)
	if list, err = b.s.Expired(b.Context(), b.clock.Now(), 10); err != nil || len(list) != 1 {
		b.Fatalf("expired: %+v, %v", list, err)
	}
}

func testDeletedAccount(b *bench) {
	ctx := b.Context()
	b.box(container, objectstore.Unversioned)
	b.put("x", []byte("x"))
	b.must(b.s.DeleteAccount(ctx, account, event.Record{}))
	a, err := b.s.Account(ctx, account)
	if err == nil && !a.Deleted || err != nil && !fault.Is(err, fault.NotFound) {
		b.Fatalf("a deleted account: %+v, %v", a, err)
	}
	b.gone(key("x"))
	_, err = b.s.Container(ctx, account, container)
	b.want(err, fault.NotFound, "a container of a deleted account")
	if err == nil || a == nil { // the reaper was quick
		return
	}
	_, _, err = b.s.PutContainer(ctx, account, "new", nil, event.Record{})
	b.want(err, fault.Conflict, "a container in a deleted account")
	_, err = b.s.ChangeAccount(ctx, account, nil, event.Record{})
	b.want(err, fault.Conflict, "change of a deleted account")
}

// testTrailers: what a body's reader adds to the headers at its end is kept.
func testTrailers(b *bench) {
	b.box(container, objectstore.Unversioned)
	for name, size := range map[string]int{"empty": 0, "small": 100, "large": 3 << 20} {
		p := objectstore.Put{Key: key(name), Size: int64(size), Headers: objectstore.Headers{"X-Object-Meta-First": "1"}}
		_, err := b.s.Put(b.Context(), p, &trailed{strings.NewReader(strings.Repeat("x", size)), p.Headers})
		b.must(err)
		o, err := b.s.Head(b.Context(), key(name))
		b.must(err)
		if o.Headers["X-Object-Meta-First"] != "1" || o.Headers["X-Sysmeta-Last"] != "2" {
			b.Errorf("%s keeps %v", name, o.Headers)
		}
	}
}

type trailed struct {
	io.Reader
	headers objectstore.Headers
}

func (r *trailed) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		r.headers["X-Sysmeta-Last"] = "2"
	}
	return n, err
}
