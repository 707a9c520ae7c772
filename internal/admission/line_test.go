package admission

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/mekcloud/mek/internal/fault"
)

func TestLineGoesRoundTheAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, order := NewLine(func() int { return 1 }), make(chan string, 16)
		hold, err := l.Enter(t.Context(), "192.0.2.1:1")
		if err != nil {
			t.Fatal(err)
		}
		for _, who := range []string{"192.0.2.1:2", "192.0.2.1:3", "192.0.2.1:4", "192.0.2.9:1", "[2001:db8::1]:1", "[2001:db8::2]:1"} {
			go func() {
				leave, err := l.Enter(context.Background(), who)
				if err == nil {
					order <- who
					leave()
				}
			}()
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error)
		go func() {
			_, err := l.Enter(ctx, "198.51.100.1:1")
			gone <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-gone; !fault.Is(err, fault.Unavailable) {
			t.Errorf("left with %v", err)
		}
		hold()
		synctest.Wait()
		want := []string{"192.0.2.1:2", "192.0.2.9:1", "[2001:db8::1]:1", "192.0.2.1:3", "[2001:db8::2]:1", "192.0.2.1:4"}
		for _, w := range want {
			if got := <-order; got != w {
				t.Errorf("served %s, want %s", got, w)
			}
		}
		if l.busy != 0 || l.waiting.Len() != 0 || l.waiting.Keys() != 0 {
			t.Errorf("left: %d busy, %d waiting", l.busy, l.waiting.Len())
		}
	})
}
