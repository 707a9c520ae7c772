package acceptance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/test/report"
)

// slowest is how long a request may take that has nothing to do with what hangs,
// on a machine that runs other tests beside.
const slowest = 3 * time.Second

// TestHangs stops processes instead of killing them: a guest, the agent and the
// server, which then answer nobody and do not end. What needs none of them goes
// on, deletes win, and whatever waited goes on once they wake up.
func TestHangs(t *testing.T) {
	seed := report.Seed(t)
	r := report.Start(t, "F6", seed)
	end := time.Now().Add(report.Length(t, 0))
	c := newCloud(t)
	k := newKilling(c)
	k.report = r
	before := k.left()
	for round := 0; round == 0 || time.Now().Before(end) && !t.Failed(); round++ {
		k.hungGuest(fmt.Sprintf("hung-guest-%d", round))
		k.hungAgent(fmt.Sprintf("hung-agent-%d", round))
		k.hungServer(fmt.Sprintf("hung-server-%d", round))
	}
	k.sweep()
	c.until("doctor finds nothing", time.Minute, func() (bool, string) {
		code, out := c.exit("doctor", "--json")
		return code == 0, out
	})
	c.until("nothing is left", 30*time.Second, func() (bool, string) {
		d := difference(before, k.left())
		return d == "", d
	})
}

// stop has a process hang until the returned function is called.
func (k *killing) stop(what string, pid int) (wake func()) {
	k.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		k.t.Fatalf("stop %s: %v", what, err)
	}
	k.report.Fault("hang of "+what, 1)
	wake = sync.OnceFunc(func() { _ = syscall.Kill(pid, syscall.SIGCONT) }) // it may be gone
	k.t.Cleanup(wake)
	return wake
}

// meanwhile asks for things that need no host until the returned function is
// called, which fails the test when one of them had to wait.
func (k *killing) meanwhile(what string) (over func()) {
	ctx, cancel := context.WithCancel(k.t.Context())
	var asking sync.WaitGroup
	var worst time.Duration
	asking.Go(func() {
		for ctx.Err() == nil {
			for _, ask := range []struct {
				service *apiclient.Service
				path    string
			}{{k.compute, "servers/detail"}, {k.volume, "volumes/detail"}, {k.network, "ports"}} {
				began := time.Now()
				var out map[string]any
				asked, done := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
				err := ask.service.Get(asked, ask.path, &out)
				done()
				k.report.Operations(1)
				k.report.Answered(err == nil)
				if err != nil {
					k.report.Violation("%s while %s hangs: %v", ask.path, what, err)
				}
				worst = max(worst, time.Since(began))
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	return func() {
		cancel()
		asking.Wait()
		k.report.Measured("slowest request while "+what+" hangs", worst.Round(time.Millisecond).String())
		if worst > slowest {
			k.report.Violation("I-36: a request took %v while %s hangs", worst, what)
		}
	}
}

// trouble sums what the server's metrics tell of faults: hosts that fell silent,
// operations that had to be tried again or taken back, and stalls of its own (I-42).
func (k *killing) trouble() float64 {
	k.t.Helper()
	c := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: k.inside, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	sum := 0.0
	for _, name := range []string{"mek_host_losses_total", "mek_task_troubles_total", "mek_stalls_total"} {
		resp, err := c.Get("https://127.0.0.1:8443/metrics")
		if err != nil {
			k.t.Fatal(err)
		}
		n, err := report.Metric(resp.Body, name)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			k.t.Fatal(err)
		}
		sum += n
	}
	return sum
}

// shows checks that a fault is seen where operators look.
func (k *killing) shows(what string, before float64) {
	k.t.Helper()
	if now := k.trouble(); now <= before {
		k.report.Violation("I-42: %s shows in no metric: %v before it, %v after it", what, before, now)
	}
}

// boot makes a server and waits until it runs.
func (k *killing) boot(name string) string {
	id := k.create(k.compute, "servers", "server", map[string]any{"name": name, "flavorRef": k.flavor, "imageRef": k.image,
		"networks": []map[string]any{{"uuid": k.net}}})
	if state := k.settle(k.compute, "servers/"+id, "server"); state != "ACTIVE" {
		k.t.Fatalf("server %s is %s", name, state)
	}
	return id
}

// guestOf finds the QEMU of a server; 0: there is none.
func (k *killing) guestOf(server string) int {
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		k.t.Fatal(err)
	}
	for _, name := range found {
		line, err := os.ReadFile(name)
		if err != nil {
			continue // ended meanwhile
		}
		args := strings.Split(string(line), "\x00")
		if strings.Contains(filepath.Base(args[0]), "qemu-system") && slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, server) }) {
			pid, _ := strconv.Atoi(strings.Split(name, "/")[2]) // digits only
			return pid
		}
	}
	return 0
}

// hungGuest: a guest whose QEMU answers nothing is deleted all the same.
func (k *killing) hungGuest(name string) {
	server, other := k.boot(name), k.boot(name+"-other")
	pid := k.guestOf(server)
	if pid == 0 {
		k.t.Fatalf("no QEMU of %s", server)
	}
	before := k.trouble()
	defer k.stop("guest", pid)()
	over := k.meanwhile("guest")
	if err := k.compute.Post(k.t.Context(), "servers/"+server+"/action", map[string]any{"reboot": map[string]any{"type": "SOFT"}}, nil); err != nil {
		k.t.Errorf("reboot of a hung guest: %v", err)
	}
	k.remove(k.compute, "servers", "server", other)
	k.remove(k.compute, "servers", "server", server)
	over()
	k.until("the hung guest is gone", 10*time.Second, func() (bool, string) { return k.guestOf(server) == 0, fmt.Sprint(pid) })
	k.shows("a guest that hangs", before)
}

// hungAgent: what needs the host waits for it, and nothing else does.
func (k *killing) hungAgent(name string) {
	kept := k.boot(name + "-kept")
	before := k.trouble()
	wake := k.stop("agent", k.processOf("agent"))
	defer wake()
	over := k.meanwhile("agent")
	volume := k.create(k.volume, "volumes", "volume", map[string]any{"name": name, "size": 1})
	if err := k.compute.Delete(k.t.Context(), "servers/"+kept); err != nil {
		k.t.Errorf("delete while the agent hangs: %v", err)
	}
	time.Sleep(8 * time.Second) // longer than the host's lease
	over()
	k.shows("an agent that hangs", before)
	wake()
	k.until("the deleted server is gone", lifeDeadline, func() (bool, string) {
		var out map[string]any
		err := k.compute.Get(k.t.Context(), "servers/"+kept, &out)
		return apiclient.IsNotFound(err), fmt.Sprint(err)
	})
	if state := k.settle(k.volume, "volumes/"+volume, "volume"); state != "available" {
		k.report.Violation("a volume that was asked for while the agent hung is %s", state)
	}
	k.remove(k.volume, "volumes", "volume", volume)
}

// hungServer: guests go on, and the agent comes back by itself.
func (k *killing) hungServer(name string) {
	server := k.boot(name)
	pid, before := k.guestOf(server), k.trouble()
	wake := k.stop("server", k.processOf("server"))
	time.Sleep(8 * time.Second) // agents give the connection up
	wake()
	k.report.Unavailable(8 * time.Second)
	if now := k.guestOf(server); now != pid {
		k.report.Violation("I-33: the guest of %s was process %d and is %d", server, pid, now)
	}
	k.remove(k.compute, "servers", "server", server)
	k.shows("a server that hangs", before)
}
