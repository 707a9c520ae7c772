package guesttest

import (
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// ahead fetches an image before a guest needs it: once, and the guest takes that.
func ahead(b *bench) {
	ctx := b.t.Context()
	for i, want := range []bool{true, false} {
		if got, err := b.d.Cache(ctx, b.image, b.s.Format); err != nil || got != want {
			b.t.Fatalf("time %d: fetched %v, %v", i, got, err)
		}
	}
	b.ensure(b.spec())
	if n := b.site.Opened(b.image); n != 1 {
		b.t.Errorf("the image was read %d times", n)
	}
	_, err := b.d.Cache(ctx, id.New(), b.s.Format)
	b.refuses("an image that is not there", err, fault.NotFound)
	other := map[string]string{"raw": "qcow2", "qcow2": "raw"}[b.s.Format]
	again := b.site.AddImage(b.s.Image, b.s.Format)
	_, err = b.d.Cache(ctx, again, other)
	b.refuses("an image that is another format", err, fault.Invalid)
	if got, err := b.d.Cache(ctx, again, b.s.Format); err != nil || !got {
		b.t.Errorf("after a refusal: %v, %v", got, err)
	}
}
