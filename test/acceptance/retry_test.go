package acceptance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mekcloud/mek/test/report"
)

// onceMore sends a request, and once more at once when it gets no answer.
func (k *killing) onceMore(what string, request func(ctx context.Context) error) (failed bool) {
	try := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err := request(ctx)
		k.report.Operations(1)
		return err
	}
	first := try()
	if first == nil || !isDead(first) {
		return false
	}
	if second := try(); second != nil && isDead(second) {
		k.report.Violation("%s failed after one retry: %v, before that %v", what, second, first)
	}
	return true
}

// socketsOf are the sockets that a process has open.
func socketsOf(pid int) map[string]bool {
	out := map[string]bool{}
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the pattern is well formed
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, "socket:") {
			out[to] = true
		}
	}
	return out
}

// holdsDoors tells whether the supervisor has the server's two listeners open.
func (k *killing) holdsDoors() bool {
	server, both := socketsOf(k.processOf("server")), 0
	for socket := range socketsOf(k.processOf("supervise")) {
		if server[socket] {
			both++
		}
	}
	return both >= 2
}

// TestOneRetryIsEnough kills the one server of a cloud under load, and what looks
// after it now and then: who asks meanwhile waits for the next server.
func TestOneRetryIsEnough(t *testing.T) {
	seed := report.Seed(t)
	r := report.Start(t, "F5", seed)
	end := time.Now().Add(report.Length(t, 0))
	c := newCloud(t, "--simulate", "1")
	k := newKilling(c)
	k.report = r
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	var mu sync.Mutex
	lost, asked := 0, 0
	for n := range killWorkers {
		workers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				for what, request := range map[string]func(ctx context.Context) error{
					"a list": func(ctx context.Context) error { return k.compute.Get(ctx, "servers/detail", &map[string]any{}) },
					"a create": func(ctx context.Context) error {
						return k.network.Post(ctx, "security-groups", map[string]any{"security_group": map[string]any{"name": fmt.Sprint(n, "-", i)}}, nil)
					},
				} {
					failed := k.onceMore(what, request)
					mu.Lock()
					asked++
					if failed {
						lost++
					}
					mu.Unlock()
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, 1))
	ready, killed := k.conf.Server().ReadyFile, time.Time{}
	for n := 0; n < 5 || time.Now().Before(end); n++ {
		var pid int
		k.until("the server is ready", 40*time.Second, func() (bool, string) {
			pid = k.processOf("server")
			file, err := os.Stat(ready)
			return pid != 0 && err == nil && file.ModTime().After(killed), fmt.Sprint(pid, err)
		})
		if n%5 == 3 { // the next one takes the sockets over from the server
			if err := syscall.Kill(k.processOf("supervise"), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			c.mek("up", "--no-install")
			k.until("another supervisor looks after the server", 20*time.Second, func() (bool, string) { return k.holdsDoors(), "" })
			r.Fault("kill supervisor", 1)
		}
		time.Sleep(time.Duration(200+random.IntN(500)) * time.Millisecond) // this pause is what is being tried
		killed = time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r.Fault("kill server", 1)
	}
	k.until("the server answers", 40*time.Second, func() (bool, string) {
		err := k.compute.Get(t.Context(), "servers?limit=1", &map[string]any{})
		return err == nil, fmt.Sprint(err)
	})
	stop()
	workers.Wait()
	r.Measured("requests that needed their retry", lost)
	if asked < 20 {
		r.Violation("%d requests in all", asked)
	}
}
