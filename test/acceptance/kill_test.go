package acceptance

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/installation/cloudsyaml"
	"github.com/mekcloud/mek/test/report"
)

// How often processes are killed, and how long they live at most, so that it
// falls on create, attach and delete alike.
const (
	kills        = 20
	killPause    = 2 * time.Second
	killWorkers  = 3
	lifeDeadline = 90 * time.Second
)

// TestKills kills server and agent at random while servers and volumes are
// made, attached and deleted. Nothing may get stuck, and nothing may be left.
func TestKills(t *testing.T) {
	seed := report.Seed(t)
	r := report.Start(t, "F5", seed)
	end := time.Now().Add(report.Length(t, 0))
	c := newCloud(t)
	k := newKilling(c)
	k.report = r
	before := k.left()

	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for n := range killWorkers {
		random := rand.New(rand.NewPCG(seed, uint64(n)))
		workers.Go(func() {
			for round := 0; ctx.Err() == nil; round++ {
				k.life(fmt.Sprintf("kill-%d-%d", n, round), random)
			}
		})
	}
	k.kill(rand.New(rand.NewPCG(seed, 99)), end)
	stop()
	workers.Wait()
	k.sweep()
	r.Measured("servers made", k.made)
	t.Logf("%d servers were made, %d volumes attached, %d servers and %d volumes ended in error", k.made, k.attached, k.serverErrors, k.volumeErrors)
	if k.serverErrors+k.volumeErrors > 0 || k.made < kills || k.attached == 0 {
		r.Violation("a death of server or agent must not be seen by users, and they must have had something to do")
	}
	c.until("doctor finds nothing", 30*time.Second, func() (bool, string) {
		code, out := c.exit("doctor", "--json")
		return code == 0, out
	})
	c.until("nothing is under way", 30*time.Second, func() (bool, string) {
		out := c.mek("admin", "tasks")
		return strings.Contains(out, "nothing is under way"), out
	})
	c.until("nothing is left", 30*time.Second, func() (bool, string) {
		d := difference(before, k.left())
		return d == "", d
	})
}

// killing is a cloud whose processes die, and what its user does meanwhile.
type killing struct {
	*cloud
	conf                     config.Config
	report                   *report.Run
	compute, volume, network *apiclient.Service
	messages                 *apiclient.Service // of volumes: why they are in error
	flavor, image, net       string

	mu                         sync.Mutex
	made, attached             int
	serverErrors, volumeErrors int
}

func newKilling(c *cloud) *killing {
	c.t.Helper()
	conf, err := config.Load(c.data, nil, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	entries, err := cloudsyaml.Read(filepath.Join(c.data, "clouds.yaml"))
	if err != nil {
		c.t.Fatal(err)
	}
	e := entries["demo"]
	ctx := c.t.Context()
	client, err := apiclient.New(ctx, apiclient.Options{AuthURL: e.Auth.AuthURL + "/", User: e.Auth.Username, Password: e.Auth.Password,
		Project: e.Auth.ProjectName, Domain: e.Auth.UserDomainName, Region: e.RegionName,
		Transport: &http.Transport{DialContext: c.inside, DisableKeepAlives: true, ResponseHeaderTimeout: 20 * time.Second,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}})
	if err != nil {
		c.t.Fatal(err)
	}
	k := &killing{cloud: c, conf: conf}
	for kind, at := range map[string]**apiclient.Service{apiclient.Compute: &k.compute, apiclient.Volume: &k.volume, apiclient.Network: &k.network} {
		if *at, err = client.Service(kind, ""); err != nil {
			c.t.Fatal(err)
		}
	}
	if k.messages, err = client.Service(apiclient.Volume, "3.3"); err != nil {
		c.t.Fatal(err)
	}
	image, err := client.Service(apiclient.Image, "")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, want := range []struct {
		service         *apiclient.Service
		path, key, name string
		id              *string
	}{
		{k.compute, "flavors", "flavors", "m1.tiny", &k.flavor}, {image, "images", "images", "tiny", &k.image},
		{k.network, "networks", "networks", "private", &k.net},
	} {
		o, ok, err := want.service.Find(ctx, want.path, want.key, want.name, nil)
		if err != nil || !ok {
			c.t.Fatalf("%s %s: %v", want.path, want.name, err)
		}
		*want.id = o.Text("id")
	}
	return k
}

// processOf finds "mek server" or "mek agent" of the cloud; 0: it does not run.
func (k *killing) processOf(name string) int {
	out, err := exec.Command("ip", "netns", "pids", k.ns).Output()
	if err != nil {
		return 0 // asked again by the caller
	}
	for _, word := range strings.Fields(string(out)) {
		line, err := os.ReadFile("/proc/" + word + "/cmdline")
		if err != nil {
			continue // ended meanwhile
		}
		args := strings.Split(string(line), "\x00")
		if len(args) > 3 && filepath.Base(args[0]) == "mek" && args[1] == name && args[3] == k.data {
			pid, _ := strconv.Atoi(word) // digits only
			return pid
		}
	}
	return 0
}

// kill sends SIGKILL to server or agent again and again, each time when it is
// ready and has had a moment to work; on a slow machine until as many servers were made.
func (k *killing) kill(random *rand.Rand, end time.Time) {
	ready := map[string]string{"server": k.conf.Server().ReadyFile, "agent": k.conf.Agent().ReadyFile}
	killed := map[string]time.Time{}
	for n := 0; n < kills || k.servers() < kills || time.Now().Before(end); n++ {
		name := []string{"server", "agent"}[random.IntN(2)]
		var pid int
		k.until(name+" is ready again", 40*time.Second, func() (bool, string) {
			pid = k.processOf(name)
			file, err := os.Stat(ready[name])
			return pid != 0 && err == nil && file.ModTime().After(killed[name]), fmt.Sprint(pid, err)
		})
		time.Sleep(time.Duration(random.Int64N(int64(killPause)))) // this pause is what is being tried
		killed[name] = time.Now()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			k.t.Errorf("kill %d, %s: %v", n, name, err)
		}
		k.report.Fault("kill "+name, 1)
	}
}

// life is one server with one volume, from create to delete.
func (k *killing) life(name string, random *rand.Rand) {
	server := k.create(k.compute, "servers", "server", map[string]any{"name": name, "flavorRef": k.flavor, "imageRef": k.image,
		"networks": []map[string]any{{"uuid": k.net}}})
	volume := k.create(k.volume, "volumes", "volume", map[string]any{"name": name, "size": 1})
	ready := server != "" && k.settle(k.compute, "servers/"+server, "server") == "ACTIVE"
	ready = volume != "" && k.settle(k.volume, "volumes/"+volume, "volume") == "available" && ready
	k.count(&k.made, server != "")
	if ready && random.IntN(4) > 0 {
		k.attach(server, volume, random.IntN(2) == 0)
	}
	k.remove(k.compute, "servers", "server", server)
	k.remove(k.volume, "volumes", "volume", volume)
}

func (k *killing) servers() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.made
}

func (k *killing) count(n *int, yes bool) {
	if yes {
		k.mu.Lock()
		*n++
		k.mu.Unlock()
	}
}

// again repeats a request until it is answered by a server that lives. The
// last answer is returned.
func (k *killing) again(request func(ctx context.Context) error) error {
	end := time.Now().Add(lifeDeadline)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		err := request(ctx)
		cancel()
		k.report.Operations(1)
		k.report.Answered(err == nil || !isDead(err))
		if err == nil || !isDead(err) || time.Now().After(end) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// isDead tells a lost connection, or a server that is going, from an answer.
func isDead(err error) bool {
	if gophercloud.ResponseCodeIs(err, http.StatusServiceUnavailable) {
		return true
	}
	var answered gophercloud.ErrUnexpectedResponseCode
	var refused *url.Error
	return !errors.As(err, &answered) && (errors.As(err, &refused) || strings.Contains(err.Error(), "EOF"))
}

// create makes something once. When the answer is lost, what was made under the
// name is looked for, as a careful client does; "" if nothing was made.
func (k *killing) create(s *apiclient.Service, path, key string, body map[string]any) string {
	name := fmt.Sprint(body["name"])
	var out map[string]apiclient.Object
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := s.Post(ctx, path, map[string]any{key: body}, &out)
	k.report.Operations(1)
	k.report.Answered(err == nil || !isDead(err))
	if err == nil {
		return out[key].Text("id")
	}
	if !isDead(err) {
		k.t.Errorf("create %s %s: %v", key, name, err)
		return ""
	}
	var found apiclient.Object
	if err := k.again(func(ctx context.Context) (err error) {
		found, _, err = s.Find(ctx, path, path, name, nil)
		return err
	}); err != nil {
		k.t.Errorf("look for %s %s: %v", key, name, err)
	}
	return found.Text("id")
}

// settle waits until something is in no state of between, and returns the state.
func (k *killing) settle(s *apiclient.Service, path, key string) string {
	between := []string{"BUILD", "creating", "attaching", "detaching", "reserved", "deleting", "downloading"}
	var last apiclient.Object
	for end := time.Now().Add(lifeDeadline); time.Now().Before(end); time.Sleep(150 * time.Millisecond) {
		var out map[string]apiclient.Object
		err := k.again(func(ctx context.Context) error { return s.Get(ctx, path, &out) })
		if apiclient.IsNotFound(err) {
			return "gone"
		}
		if err != nil {
			k.t.Errorf("show %s: %v", path, err)
			return "unknown"
		}
		last = out[key]
		state := last.Text("status")
		if slices.Contains(between, state) || last["OS-EXT-STS:task_state"] != nil {
			continue
		}
		if strings.HasPrefix(strings.ToLower(state), "error") {
			k.t.Logf("%s: %s %v", path, state, last["fault"])
			if key == "volume" {
				told, err := k.messages.List(k.t.Context(), "messages", "messages", url.Values{"resource_uuid": {filepath.Base(path)}})
				k.t.Log(told, err)
			}
			k.count(&k.serverErrors, key == "server")
			k.count(&k.volumeErrors, key == "volume")
		}
		return state
	}
	k.t.Errorf("%s is stuck: %v", path, last)
	return "stuck"
}

// attach attaches a volume and, if asked, detaches it again.
func (k *killing) attach(server, volume string, detach bool) {
	path := "servers/" + server + "/os-volume_attachments"
	err := k.again(func(ctx context.Context) error {
		return k.compute.Post(ctx, path, map[string]any{"volumeAttachment": map[string]any{"volumeId": volume}}, nil)
	})
	if err != nil && !repeated(err) {
		k.t.Errorf("attach %s to %s: %v", volume, server, err)
	}
	state := k.settle(k.volume, "volumes/"+volume, "volume")
	k.count(&k.attached, state == "in-use")
	if state != "in-use" || !detach {
		return
	}
	if err := k.again(func(ctx context.Context) error { return k.compute.Delete(ctx, path+"/"+volume) }); err != nil && !repeated(err) {
		k.t.Errorf("detach %s from %s: %v", volume, server, err)
	}
	k.settle(k.volume, "volumes/"+volume, "volume")
}

// repeated tells the answer to a request whose first sending got through: its
// answer died with the server.
func repeated(err error) bool {
	return apiclient.IsConflict(err) || gophercloud.ResponseCodeIs(err, http.StatusBadRequest)
}

// remove deletes something and waits until it is gone.
func (k *killing) remove(s *apiclient.Service, path, key, id string) {
	if id == "" {
		return
	}
	end := time.Now().Add(lifeDeadline)
	for time.Now().Before(end) {
		err := k.again(func(ctx context.Context) error { return s.Delete(ctx, path+"/"+id) })
		if err != nil && !repeated(err) {
			k.t.Errorf("delete %s %s: %v", key, id, err)
			return
		}
		for pause := time.Now().Add(5 * time.Second); time.Now().Before(pause); time.Sleep(150 * time.Millisecond) {
			var out map[string]apiclient.Object
			if err := k.again(func(ctx context.Context) error { return s.Get(ctx, path+"/"+id, &out) }); apiclient.IsNotFound(err) {
				return
			}
		}
	}
	var shown any
	_ = k.again(func(ctx context.Context) error { return s.Get(ctx, path+"/"+id, &shown) })
	k.t.Errorf("%s %s is not gone: %v", key, id, shown)
}

// sweep deletes what lost answers left behind.
func (k *killing) sweep() {
	for _, kind := range []struct {
		service   *apiclient.Service
		path, key string
	}{{k.compute, "servers", "server"}, {k.volume, "volumes", "volume"}} {
		var all []apiclient.Object
		if err := k.again(func(ctx context.Context) (err error) {
			all, err = kind.service.List(ctx, kind.path, kind.path, nil)
			return err
		}); err != nil {
			k.t.Fatal(err)
		}
		for _, o := range all {
			k.t.Logf("sweep: %s %s", kind.key, o.Text("id"))
			k.remove(kind.service, kind.path, kind.key, o.Text("id"))
		}
	}
}

// left is what servers and volumes leave behind when they are not cleaned up:
// files, processes, links, ports, and what the quota counts.
func (k *killing) left() []string {
	var all []string
	agent, server := k.conf.Agent(), k.conf.Server()
	// Images stay: the host keeps them for the next server.
	for _, dir := range []string{filepath.Join(agent.InstanceDir, "guests"), agent.VolumeDir, server.VolumeDir, agent.Sockets} {
		all = append(all, strings.Split(tree(dir), "\n")...)
	}
	for _, p := range k.running() {
		if strings.Contains(p, "qemu") {
			all = append(all, "process "+p)
		}
	}
	links, err := k.run(10*time.Second, "ip", "-o", "link")
	if err != nil {
		return []string{err.Error()}
	}
	for _, line := range strings.Split(links, "\n") {
		if _, name, ok := strings.Cut(line, ": "); ok {
			all = append(all, "link "+strings.SplitN(name, ":", 2)[0])
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ports, err := k.network.List(ctx, "ports", "ports", nil)
	if err != nil {
		return append(all, err.Error())
	}
	for _, p := range ports {
		all = append(all, "port "+p.Text("id"))
	}
	for path, service := range map[string]*apiclient.Service{"limits": k.compute, "limits?": k.volume} {
		var limits struct {
			Limits struct{ Absolute map[string]any }
		}
		if err := service.Get(ctx, path, &limits); err != nil {
			return append(all, err.Error())
		}
		for name, n := range limits.Limits.Absolute {
			if strings.HasSuffix(name, "Used") {
				all = append(all, fmt.Sprintf("%s %s %v", path, name, n))
			}
		}
	}
	return all
}
