package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/joining"
)

// A host connects with the servers it hears of, once with each, and lets go of
// those that are gone.
func TestHostsFollowServers(t *testing.T) {
	var mu sync.Mutex
	open := map[string]bool{}
	changed := make(chan struct{}, 100)
	set := func(address string, is bool) {
		mu.Lock()
		open[address] = is
		mu.Unlock()
		changed <- struct{}{}
	}
	m := &memberships{file: filepath.Join(t.TempDir(), serversFile), own: "home", relay: &hostlink.Relay{}, log: slog.New(slog.DiscardHandler),
		leads: map[string]string{"written:1": "one"}, learned: map[string]context.CancelFunc{},
		connect: func(ctx context.Context, address string) error {
			set(address, true)
			<-ctx.Done()
			set(address, false)
			return nil
		}}
	ctx, cancel := context.WithCancel(t.Context())
	follow := func(list []joining.Door, changes int, want ...string) {
		t.Helper()
		m.follow(ctx, list)
		for range changes {
			<-changed
		}
		mu.Lock()
		defer mu.Unlock()
		var got []string
		for address, is := range open {
			if is {
				got = append(got, address)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("connected with %v, want %v", got, want)
		}
	}
	door := func(name, bus string) joining.Door { return joining.Door{Name: name, Bus: bus} }
	follow([]joining.Door{door("home", "h:1"), door("one", "o:1"), door("two", "t:1"), door("three", "x:1")}, 2, "t:1", "x:1")
	follow([]joining.Door{door("two", "t:1"), door("three", "x:1")}, 0, "t:1", "x:1")
	follow([]joining.Door{door("two", "t:2")}, 3, "t:2")
	m.leads["written:2"] = "two" // an address of the settings turned out to lead there
	follow([]joining.Door{door("two", "t:2")}, 1)
	cancel()
	m.work.Wait()
	list := []joining.Door{door("two", "t:2")}
	if err := joining.Remember(m.file, list); err != nil || !slices.Equal(joining.Known(m.file), list) {
		t.Errorf("remembered %v, %v", joining.Known(m.file), err)
	}
}
