package storetest

import (
	"bytes"
	"errors"
	"time"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
)

func (b *bench) withdraw(k objectstore.Key) objectstore.Deletion {
	b.Helper()
	d, err := b.s.Withdraw(b.Context(), k, nil, event.Record{})
	b.must(err)
	return d
}

func (b *bench) withdrawsNothing(k objectstore.Key) {
	b.Helper()
	_, err := b.s.Withdraw(b.Context(), k, nil, event.Record{})
	b.want(err, fault.NotFound, "withdrawal of nothing")
}

func testWithdraw(b *bench) {
	b.withdrawsNothing(key("x")) // no container
	b.box(container, objectstore.Unversioned)
	b.put("x", []byte("n"))
	if d := b.withdraw(key("x")); d.Marker != nil || d.Removed == nil || d.Removed.Size != 1 {
		b.Fatalf("withdrawal %+v", d)
	}
	b.withdrawsNothing(key("x"))
	b.counts(0, 0, 0, 0)

	b.box(container, objectstore.Versioned)
	v := b.put("x", []byte("v"))
	w := b.put("x", []byte("ww"))
	if d := b.withdraw(key("x")); d.Marker == nil || d.Removed == nil || d.Removed.Version != w.Version {
		b.Fatalf("withdrawal of a versioned object: %+v", d)
	}
	b.shows("x", "-* ww v")
	b.put("x", []byte("xxx"))
	b.shows("x", "xxx* - ww v")

	b.box(container, objectstore.Suspended)
	refused := errors.New("refused")
	_, err := b.s.Withdraw(b.Context(), key("x"), func(o *objectstore.Object) error {
		if o == nil || o.Size != 3 {
			b.Errorf("check got %+v", o)
		}
		return refused
	}, event.Record{})
	if !errors.Is(err, refused) {
		b.Fatalf("withdrawal that is refused: %v", err)
	}
	b.shows("x", "xxx* - ww v")
	if d := b.withdraw(key("x")); d.Marker != nil || d.Removed == nil || d.Removed.Size != 3 {
		b.Fatalf("withdrawal while suspended: %+v", d)
	}
	b.shows("x", "xxx - ww v")
	b.gone(key("x"))
	b.counts(0, 0, 4, 6)
	b.withdrawsNothing(key("x"))

	b.put("x", []byte("null"))
	b.shows("x", "null*0 xxx - ww v")
	b.withdraw(at("x", objectstore.NullVersion))
	b.shows("x", "xxx - ww v")
	b.gone(key("x"))
	b.withdrawsNothing(at("x", objectstore.NullVersion))
	b.withdraw(at("x", w.Version))
	b.withdraw(at("x", v.Version))
	b.withdrawsNothing(at("x", v.Version))
	b.shows("x", "xxx -")
	b.counts(0, 0, 2, 3)
}

func (b *bench) restore(k objectstore.Key) {
	b.Helper()
	o, err := b.s.Restore(b.Context(), k, nil, event.Record{})
	b.must(err)
	if o.Name != k.Name || o.Version != k.Version {
		b.Fatalf("restored %+v, want %+v", o, k)
	}
}

func testRestore(b *bench) {
	nothing := func(k objectstore.Key) {
		b.Helper()
		_, err := b.s.Restore(b.Context(), k, nil, event.Record{})
		b.want(err, fault.NotFound, "what is not there, restored")
	}
	nothing(at("x", objectstore.NullVersion))
	b.box(container, objectstore.Versioned)
	v := b.put("x", []byte("v"))
	w := b.put("x", []byte("ww"))
	b.restore(at("x", v.Version))
	b.holds(key("x"), []byte("v"))
	b.counts(1, 1, 1, 3)
	b.restore(at("x", v.Version)) // is current already
	b.holds(key("x"), []byte("v"))
	b.counts(1, 1, 1, 3)
	nothing(at("x", "0123456789abcdef"))

	d := b.withdraw(key("x"))
	b.gone(key("x"))
	nothing(at("x", d.Marker.Version))
	refused := errors.New("refused")
	_, err := b.s.Restore(b.Context(), at("x", w.Version), func(*objectstore.Account, *objectstore.Container, *objectstore.Object) error {
		return refused
	}, event.Record{})
	if !errors.Is(err, refused) {
		b.Fatalf("restoration that is refused: %v", err)
	}
	b.gone(key("x"))
	b.restore(at("x", w.Version))
	b.holds(key("x"), []byte("ww"))
	b.holds(at("x", v.Version), []byte("v"))
	b.counts(1, 2, 2, 3)

	o, err := b.s.Put(b.Context(), objectstore.Put{Key: key("y"), Size: 2, DeleteAt: b.clock.Now().Add(time.Minute)}, bytes.NewReader(pattern(2, 0)))
	b.must(err)
	b.restore(at("y", o.Version))
	b.clock.Advance(time.Hour)
	b.holds(key("y"), pattern(2, 0))
	expired, err := b.s.Expired(b.Context(), b.clock.Now(), 10)
	b.must(err)
	if len(expired) != 0 {
		b.Fatalf("still to go: %+v", expired)
	}
}
