package acceptance

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/test/report"
)

// exhausted is a cloud whose machine runs out of one thing after the other.
type exhausted struct {
	*killing
	o *objectStorm // asks as the administrator
}

// smallFolders are file systems of their own, which can be filled.
var smallFolders = map[string]string{"db": "96m", "images": "400m", "objects": "400m"}

// TestExhaustedServer takes away, one after the other, what the server needs of
// its machine: room and inodes for the database, images and objects, descriptors,
// threads, memory. New work is refused in the service's words, reads are answered,
// deletes come to their end, and everything is taken up again by itself when
// there is enough (F7).
func TestExhaustedServer(t *testing.T) {
	if os.Getenv("MEK_SOAK") == "" {
		t.Skip("part of make soak")
	}
	r := report.Start(t, "F7", report.Seed(t))
	end := time.Now().Add(report.Length(t, 0))
	e := newExhausted(placeOver(t, mountSmall, "--simulate", "1"), r)
	e.through(end, []part{
		{"room-images", func(n string) { e.imagesFull(n, "room") }}, {"inodes-images", func(n string) { e.imagesFull(n, "inodes") }},
		{"room-objects", func(n string) { e.objectsFull(n, "room") }}, {"inodes-objects", func(n string) { e.objectsFull(n, "inodes") }},
		{"room-database", e.databaseFull}, {"descriptors", func(n string) { e.fewDescriptors(n, "server") }},
		{"threads", func(n string) { e.fewThreads(n, "server") }}, {"memory", func(n string) { e.noMemory(n, "server") }},
	})
}

// TestExhaustedHost is the same for a host and its agent. Guests stand still
// rather than lose what they write, and never notice what the agent lacks.
func TestExhaustedHost(t *testing.T) {
	if os.Getenv("MEK_SOAK") == "" {
		t.Skip("part of make soak")
	}
	r := report.Start(t, "F7", report.Seed(t))
	end := time.Now().Add(report.Length(t, 0))
	e := newExhausted(placeOver(t, mountHost), r)
	e.through(end, []part{
		{"room", func(n string) { e.hostFull(n, "room") }}, {"inodes", func(n string) { e.hostFull(n, "inodes") }}, {"guest", e.guestFull},
		{"descriptors", func(n string) { e.fewDescriptors(n, "agent") }}, {"threads", func(n string) { e.fewThreads(n, "agent") }},
		{"memory", func(n string) { e.noMemory(n, "agent") }}, {"memory-server", func(n string) { e.noMemory(n, "server") }},
	})
}

func newExhausted(c *cloud, r *report.Run) *exhausted {
	e := &exhausted{newKilling(c), newObjectStorm(c)}
	e.report, e.o.report = r, r
	return e
}

// part is one thing that there is not enough of.
type part struct {
	name string
	run  func(name string)
}

// through goes through all parts until the end, at least once; then nothing is
// left of it. MEK_TEST_EXHAUST chooses parts by name.
func (e *exhausted) through(end time.Time, parts []part) {
	before := e.left()
	for round := 0; round == 0 || time.Now().Before(end) && !e.t.Failed(); round++ {
		for _, p := range parts {
			if !strings.Contains(p.name, os.Getenv("MEK_TEST_EXHAUST")) {
				continue
			}
			began := time.Now()
			p.run(fmt.Sprintf("exhaust-%d-%s", round, p.name))
			e.t.Logf("%s: %v", p.name, time.Since(began).Round(100*time.Millisecond))
		}
	}
	e.sweep()
	e.until("doctor finds nothing", time.Minute, func() (bool, string) {
		code, out := e.exit("doctor", "--json")
		return code == 0, out
	})
	e.until("nothing is left", 30*time.Second, func() (bool, string) {
		d := difference(before, e.left())
		return d == "", d
	})
}

func mountSmall(c *cloud) {
	c.t.Helper()
	at := func(folder string) string {
		c.must("install", "-d", "-m", "0700", filepath.Join(c.data, folder))
		return filepath.Join(c.data, folder)
	}
	c.must("install", "-d", "-m", "0755", c.data)
	for folder, size := range smallFolders {
		c.must("mount", "-t", "tmpfs", "-o", "nr_inodes=600,mode=0700,size="+size, "tmpfs", at(folder))
	}
}

// mountHost gives the agent a disk of its own.
func mountHost(c *cloud) {
	c.t.Helper()
	disk := filepath.Join(c.dir, "disk")
	c.must("install", "-d", "-m", "0755", c.data)
	c.must("install", "-d", "-m", "0700", filepath.Join(c.data, "agent"))
	c.must("truncate", "-s", "6G", disk)
	c.must("mkfs.ext4", "-q", "-m", "0", "-N", "800", disk)
	c.must("mount", "-o", "loop", disk, filepath.Join(c.data, "agent"))
}

// fill leaves no room, or no inodes, until the returned function is called.
func (e *exhausted) fill(folder, what string) (back func()) {
	e.t.Helper()
	at := filepath.Join(e.data, folder)
	var room unix.Statfs_t
	if err := unix.Statfs(at, &room); err != nil {
		e.t.Fatal(err)
	}
	var made []string
	add := func() *os.File {
		f, err := os.Create(filepath.Join(at, fmt.Sprint("filler-", len(made))))
		if err != nil {
			return nil // no inode is left
		}
		made = append(made, f.Name())
		return f
	}
	if what == "room" {
		f := add()
		for from, n := int64(0), int64(room.Bavail)*room.Bsize; n >= room.Bsize; { // in pieces: the file's own needs take of it
			if err := unix.Fallocate(int(f.Fd()), 0, from, n); err != nil {
				n /= 2
			} else {
				from += n
			}
		}
		f.Close()
	} else {
		for f := add(); f != nil; f = add() {
			f.Close()
		}
	}
	e.report.Fault("no "+what+" for "+folder, 1)
	return func() {
		for _, name := range made {
			if err := os.Remove(name); err != nil {
				e.t.Error(err)
			}
		}
	}
}

// ask is a request of the administrator's.
func (e *exhausted) ask(method, path string, body []byte) (int, string) {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), method, e.o.root+path, bytes.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", e.o.token)
	kind := "application/json"
	if strings.HasSuffix(path, "/file") {
		kind = "application/octet-stream"
	}
	r.Header.Set("Content-Type", kind)
	e.report.Operations(1)
	resp, err := e.o.http.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(content)
}

// expect is ask that must be answered so.
func (e *exhausted) expect(doing string, want int, method, path string, body []byte) string {
	e.t.Helper()
	got, text := e.ask(method, path, body)
	if got != want {
		e.report.Violation("%s: %s %s is %d, not %d: %.300s", doing, method, path, got, want, text)
	}
	return text
}

// an image, with bytes or without.
func (e *exhausted) newImage(name string) string {
	e.t.Helper()
	text := e.expect("a new image", http.StatusCreated, "POST", "/image/v2/images", fmt.Appendf(nil, `{"name":%q,"disk_format":"raw","container_format":"bare"}`, name))
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(text), &made); err != nil || made.ID == "" {
		e.t.Fatalf("a new image: %v %s", err, text)
	}
	return made.ID
}

func (e *exhausted) imagesFull(name, what string) {
	content := bytes.Repeat([]byte("image "), 300_000)
	kept, fresh := e.newImage(name+"-kept"), e.newImage(name)
	e.expect("an upload", http.StatusNoContent, "PUT", "/image/v2/images/"+kept+"/file", content)
	back := e.fill("images", what)
	text := e.expect("an upload without "+what, http.StatusRequestEntityTooLarge, "PUT", "/image/v2/images/"+fresh+"/file", content)
	if !strings.Contains(text, "Image storage media is full") {
		e.report.Violation("an upload without %s: %s", what, text)
	}
	if text := e.expect("an image without "+what, http.StatusOK, "GET", "/image/v2/images/"+fresh, nil); !strings.Contains(text, `"queued"`) {
		e.report.Violation("an image whose upload was refused: %s", text)
	}
	if e.expect("a download without "+what, http.StatusOK, "GET", "/image/v2/images/"+kept+"/file", nil) != string(content) {
		e.report.Violation("an image without %s is another one", what)
	}
	e.expect("a delete without "+what, http.StatusNoContent, "DELETE", "/image/v2/images/"+kept, nil)
	back()
	e.expect("an upload afterwards", http.StatusNoContent, "PUT", "/image/v2/images/"+fresh+"/file", content)
	if e.expect("a download afterwards", http.StatusOK, "GET", "/image/v2/images/"+fresh+"/file", nil) != string(content) {
		e.report.Violation("an image is another one")
	}
	e.expect("a delete afterwards", http.StatusNoContent, "DELETE", "/image/v2/images/"+fresh, nil)
}

func (e *exhausted) objectsFull(name, what string) {
	small, large := bytes.Repeat([]byte("s"), 1000), bytes.Repeat([]byte("l"), 3<<20)
	at := strings.TrimPrefix(e.o.base, e.o.root) + "/" + name
	for _, body := range [][]byte{small, large} {
		e.expect("an object", http.StatusCreated, "PUT", fmt.Sprint(at, len(body)), body)
	}
	back := e.fill("objects", what)
	refused := 0
	for _, body := range [][]byte{small, large} {
		switch got, text := e.ask("PUT", fmt.Sprint(at, "-refused-", len(body)), body); {
		case got == http.StatusInsufficientStorage:
			refused++
		case what == "inodes" && got == http.StatusCreated && len(body) < 2000: // it goes into the log, which has its file
		default:
			e.report.Violation("an object of %d bytes without %s: %d %.300s", len(body), what, got, text)
		}
		if e.expect("an object without "+what, http.StatusOK, "GET", fmt.Sprint(at, len(body)), nil) != string(body) {
			e.report.Violation("an object without %s is another one", what)
		}
	}
	if refused == 0 {
		e.report.Violation("no object was refused without %s", what)
	}
	e.expect("a listing without "+what, http.StatusOK, "GET", strings.TrimPrefix(e.o.base, e.o.root), nil)
	for _, body := range [][]byte{small, large} {
		e.expect("a delete without "+what, http.StatusNoContent, "DELETE", fmt.Sprint(at, len(body)), nil)
	}
	back()
	for _, body := range [][]byte{small, large} {
		e.expect("an object afterwards", http.StatusCreated, "PUT", fmt.Sprint(at, len(body)), body)
		e.expect("a delete afterwards", http.StatusNoContent, "DELETE", fmt.Sprint(at, len(body)), nil)
		e.ask("DELETE", fmt.Sprint(at, "-refused-", len(body)), nil)
	}
}

func (e *exhausted) databaseFull(name string) {
	kept, doomed := e.boot(name), e.create(e.volume, "volumes", "volume", map[string]any{"name": name, "size": 1})
	e.settled("volumes/"+doomed, "volume", e.volume)
	back := e.fill("db", "room")
	var text string
	e.until("new work is refused", time.Minute, func() (bool, string) {
		got, said := e.ask("POST", "/compute/v2.1/os-keypairs", fmt.Appendf(nil, `{"keypair":{"name":"k%d"}}`, time.Now().UnixNano()))
		text = said
		if got != http.StatusOK && got != http.StatusServiceUnavailable && got != http.StatusForbidden {
			e.report.Violation("on a full disk of the database: %d %s", got, said)
		}
		if got == http.StatusForbidden { // the quota; deletes make log as well
			e.dropKeypairs()
		}
		return got == http.StatusServiceUnavailable, said
	})
	if !strings.Contains(text, `"code": 503`) && !strings.Contains(text, `"code":503`) {
		e.report.Violation("not in the service's envelope: %s", text)
	}
	over := e.meanwhile("a full disk of the database")
	e.remove(e.volume, "volumes", "volume", doomed)
	e.remove(e.compute, "servers", "server", kept)
	over()
	back()
	e.until("new work is taken", 20*time.Second, func() (bool, string) {
		got, said := e.ask("POST", "/compute/v2.1/os-keypairs", fmt.Appendf(nil, `{"keypair":{"name":"k%d"}}`, time.Now().UnixNano()))
		return got == http.StatusOK || got == http.StatusCreated, said
	})
	e.dropKeypairs()
	e.works(name + "-after")
}

func (e *exhausted) dropKeypairs() {
	_, text := e.ask("GET", "/compute/v2.1/os-keypairs", nil)
	var list struct {
		Keypairs []struct{ Keypair struct{ Name string } }
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		e.t.Fatal(err, text)
	}
	for _, k := range list.Keypairs {
		if strings.HasPrefix(k.Keypair.Name, "k1") {
			e.ask("DELETE", "/compute/v2.1/os-keypairs/"+k.Keypair.Name, nil)
		}
	}
}

// hostFull: what the agent writes to for guests is a file system that is full.
func (e *exhausted) hostFull(name, what string) {
	pid := e.processOf("agent")
	back := e.fill("agent", what)
	over := e.meanwhile("a host without " + what)
	server := e.create(e.compute, "servers", "server", map[string]any{"name": name, "flavorRef": e.flavor, "imageRef": e.image, "networks": []map[string]any{{"uuid": e.net}}})
	volume := e.create(e.volume, "volumes", "volume", map[string]any{"name": name, "size": 1})
	time.Sleep(5 * time.Second) // this is what is being tried
	over()
	e.t.Logf("without %s: server %s, volume %s", what, e.state(e.compute, "servers/"+server, "server"), e.state(e.volume, "volumes/"+volume, "volume"))
	e.remove(e.compute, "servers", "server", server)
	e.remove(e.volume, "volumes", "volume", volume)
	back()
	if now := e.processOf("agent"); now != pid {
		e.report.Violation("the agent without %s: process %d became %d", what, pid, now)
	}
	e.works(name + "-after")
}

// guestFull: a guest that writes to a full disk of its host stands still and goes
// on where it was when there is room.
func (e *exhausted) guestFull(name string) {
	script := "#!/bin/sh\n(n=0; while [ $n -lt 2000 ]; do dd if=/dev/urandom of=/fill$n bs=64k count=2 conv=fsync 2>/dev/null || echo WRITE FAILED; n=$((n+1)); echo wrote $n; done) >/dev/console 2>&1 &\n"
	server := e.create(e.compute, "servers", "server", map[string]any{"name": name, "flavorRef": e.flavor, "imageRef": e.image,
		"networks": []map[string]any{{"uuid": e.net}}, "user_data": base64.StdEncoding.EncodeToString([]byte(script))})
	if state := e.settle(e.compute, "servers/"+server, "server"); state != "ACTIVE" {
		e.t.Fatalf("server %s is %s", name, state)
	}
	e.until("the guest writes", 2*time.Minute, func() (bool, string) { return e.wrote(server) > 3, "" })
	back := e.fill("agent", "room")
	pid := e.guestOf(server)
	e.until("the guest stands still", 30*time.Second, func() (bool, string) { p := e.power(server); return p == "3", p })
	if state := e.state(e.compute, "servers/"+server, "server"); !strings.HasPrefix(state, "ACTIVE") {
		e.report.Violation("a guest on a full disk is %s", state)
	}
	before := e.wrote(server)
	back()
	e.until("the guest goes on", 40*time.Second, func() (bool, string) { p := e.power(server); return p == "1" && e.wrote(server) > before, p })
	if now := e.guestOf(server); now != pid {
		e.report.Violation("I-33: the guest of %s was process %d and is %d", server, pid, now)
	}
	if text := e.console(server); strings.Contains(text, "WRITE FAILED") || strings.Contains(text, "I/O error") {
		e.report.Violation("the guest saw an error of its disk")
	}
	e.remove(e.compute, "servers", "server", server)
}

func (e *exhausted) power(server string) string {
	var out map[string]apiclient.Object
	if err := e.compute.Get(e.t.Context(), "servers/"+server, &out); err != nil {
		return err.Error()
	}
	return fmt.Sprint(out["server"]["OS-EXT-STS:power_state"])
}

func (e *exhausted) console(server string) string {
	_, text := e.ask("POST", "/compute/v2.1/servers/"+server+"/action", []byte(`{"os-getConsoleOutput":{}}`))
	return text
}

// wrote is how many files the guest says it has written.
func (e *exhausted) wrote(server string) (n int) {
	parts := strings.Split(e.console(server), "wrote ")
	for _, part := range parts[1:] {
		end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if i, err := strconv.Atoi(part[:max(end, 0)]); err == nil {
			n = max(n, i)
		}
	}
	return n
}

// settled has something end well, or in an error.
func (e *exhausted) settled(path, key string, s *apiclient.Service) {
	if state := e.settle(s, path, key); state == "unknown" || state == "stuck" {
		e.report.Violation("%s stays in between", path)
	}
}

// works: new work is taken and done.
func (e *exhausted) works(name string) {
	e.t.Helper()
	volume := e.create(e.volume, "volumes", "volume", map[string]any{"name": name, "size": 1})
	if state := e.settle(e.volume, "volumes/"+volume, "volume"); state != "available" {
		e.report.Violation("%s: a volume is %s", name, state)
	}
	e.remove(e.volume, "volumes", "volume", volume)
	e.remove(e.compute, "servers", "server", e.boot(name))
}

// state is what something says it is, with the reason of an error.
func (e *exhausted) state(s *apiclient.Service, path, key string) string {
	var out map[string]apiclient.Object
	if err := s.Get(e.t.Context(), path, &out); err != nil {
		return err.Error()
	}
	text := out[key].Text("status")
	if text == "ERROR" && out[key]["fault"] == nil {
		e.report.Violation("I-22: %s is in ERROR and does not say why", path)
	}
	return fmt.Sprint(text, " ", out[key]["fault"])
}

// limit cuts what a process may have of a resource, until the returned function
// is called. It is asked for as the process's user, who needs no rights for it.
func (e *exhausted) limit(pid int, resource string, most int) (back func()) {
	e.t.Helper()
	var owner unix.Stat_t
	if err := unix.Stat(fmt.Sprint("/proc/", pid), &owner); err != nil {
		e.t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		cmd := exec.Command("prlimit", append([]string{"--pid", strconv.Itoa(pid)}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	old, err := run("--"+resource, "--raw", "--noheadings", "--output", "SOFT")
	if err != nil {
		e.t.Fatalf("limit of process %d: %v %s", pid, err, old)
	}
	if out, err := run(fmt.Sprintf("--%s=%d:", resource, most)); err != nil {
		e.t.Fatalf("limit of process %d: %v %s", pid, err, out)
	}
	return func() { _, _ = run("--" + resource + "=" + old + ":") } // it may be gone
}

// fewDescriptors: a process can open nothing new for a while; it stays, and
// what it was asked for meanwhile is done afterwards.
func (e *exhausted) fewDescriptors(name, process string) {
	pid := e.processOf(process)
	kept, image := e.boot(name), e.newImage(name)
	at, content := strings.TrimPrefix(e.o.base, e.o.root)+"/"+name, bytes.Repeat([]byte("d"), 200<<10) // a body that is not read closes the connection, unless it is short
	e.expect("an object", http.StatusCreated, "PUT", fmt.Sprint(at, len(content)), content)
	back := e.limit(pid, "nofile", 3) // it has more open: nothing new can be opened
	e.report.Fault("no descriptors for the "+process, 1)
	if process == "server" { // who has a connection is answered
		e.askWithout(image, fmt.Sprint(at, len(content)), content)
		back()
	} else {
		over := e.meanwhile("an agent without descriptors")
		made := e.create(e.volume, "volumes", "volume", map[string]any{"name": name, "size": 1})
		doomed := e.create(e.compute, "servers", "server", map[string]any{"name": name, "flavorRef": e.flavor, "imageRef": e.image, "networks": []map[string]any{{"uuid": e.net}}})
		time.Sleep(4 * time.Second) // this is what is being tried
		over()
		back()
		e.settled("volumes/"+made, "volume", e.volume)
		e.settled("servers/"+doomed, "server", e.compute)
		e.t.Logf("without descriptors: server %s, volume %s", e.state(e.compute, "servers/"+doomed, "server"), e.state(e.volume, "volumes/"+made, "volume"))
		e.remove(e.volume, "volumes", "volume", made)
		e.remove(e.compute, "servers", "server", doomed)
	}
	if now := e.processOf(process); now != pid {
		e.report.Violation("%s without descriptors: process %d became %d", process, pid, now)
	}
	e.works(name + "-after")
	if e.expect("an object", http.StatusOK, "GET", fmt.Sprint(at, len(content)), nil) != string(content) {
		e.report.Violation("an object is another one")
	}
	e.expect("a delete", http.StatusNoContent, "DELETE", fmt.Sprint(at, len(content)), nil)
	e.ask("DELETE", at, nil)
	e.expect("a delete", http.StatusNoContent, "DELETE", "/image/v2/images/"+image, nil)
	e.remove(e.compute, "servers", "server", kept)
}

// askWithout asks for everything that needs a descriptor, on connections that
// there are. What can be done is done, the rest is not available, and never is
// anything else said.
func (e *exhausted) askWithout(image, object string, content []byte) {
	seen := map[string]map[int]int{}
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for _, q := range []struct {
			method, path string
			body         []byte
		}{
			{"GET", "/volume/v3/volumes/detail", nil}, {"GET", "/compute/v2.1/servers/detail", nil}, {"GET", object, nil},
			{"PUT", strings.TrimSuffix(object, fmt.Sprint(len(content))), content}, {"PUT", "/image/v2/images/" + image + "/file", content[:1000]},
			{"GET", "/image/v2/images/" + e.image + "/file", nil},
			{"POST", "/volume/v3/volumes", []byte(`{"volume":{"size":0}}`)}, {"POST", "/identity/v3/auth/tokens", []byte(`{"auth":{"identity":{"methods":["token"],"token":{"id":"x"}}}}`)},
		} {
			status, text := e.ask(q.method, q.path, q.body)
			kind := q.method + " " + strings.Join(strings.Split(q.path, "/")[1:3], "/")
			if seen[kind] == nil {
				seen[kind] = map[int]int{}
			}
			if seen[kind][status]++; seen[kind][status] == 1 && (status == 0 || status >= 500 && status != http.StatusServiceUnavailable) {
				e.report.Violation("without descriptors %s %s is %d %.300s", q.method, q.path, status, text)
			}
		}
	}
	e.t.Logf("without descriptors: %v", seen)
}

// fewThreads: a process can make neither threads nor children. It may end; what
// follows it goes on, and guests never notice.
func (e *exhausted) fewThreads(name, process string) {
	group := filepath.Join("/sys/fs/cgroup/pids", e.ns)
	if err := os.Mkdir(group, 0o755); err != nil {
		e.t.Logf("no pids controller of version 1 here: %v", err)
		return
	}
	defer func() {
		e.until("the group is empty", 20*time.Second, func() (bool, string) { err := os.Remove(group); return err == nil, fmt.Sprint(err) })
	}()
	kept := e.boot(name)
	guest, pid := e.guestOf(kept), e.processOf(process)
	was, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		e.t.Fatal(err)
	}
	set := func(dir, file, value string) {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0); err != nil {
			e.t.Errorf("%s of %s: %v", file, dir, err)
		}
	}
	set(group, "cgroup.procs", strconv.Itoa(pid))
	set(group, "pids.max", "1")
	e.report.Fault("no threads for the "+process, 1)
	e.disturbed(name, 4*time.Second, func() {
		e.t.Logf("%s %d is now %d", process, pid, e.processOf(process))
		if e.processOf(process) == pid { // back where it was
			for _, line := range strings.Split(string(was), "\n") {
				if _, path, ok := strings.Cut(line, ":pids:"); ok {
					set(filepath.Join("/sys/fs/cgroup/pids", path), "cgroup.procs", strconv.Itoa(pid))
				}
			}
		}
	})
	e.undisturbed(kept, guest)
}

// noMemory: a process gets no memory any more and ends; what follows it goes on
// where it was, and guests never notice.
func (e *exhausted) noMemory(name, process string) {
	kept := e.boot(name)
	guest, pid := e.guestOf(kept), e.processOf(process)
	back := e.limit(pid, "as", 1)
	e.report.Fault("no memory for the "+process, 1)
	e.disturbed(name, 4*time.Second, back)
	e.undisturbed(kept, guest)
}

// disturbed asks for things while a process may die, and for their end afterwards.
func (e *exhausted) disturbed(name string, long time.Duration, back func()) {
	volume := e.create(e.volume, "volumes", "volume", map[string]any{"name": name, "size": 1})
	server := e.create(e.compute, "servers", "server", map[string]any{"name": name, "flavorRef": e.flavor, "imageRef": e.image, "networks": []map[string]any{{"uuid": e.net}}})
	time.Sleep(long) // this is what is being tried
	back()
	for _, o := range []struct {
		service       *apiclient.Service
		kind, key, id string
	}{{e.volume, "volumes", "volume", volume}, {e.compute, "servers", "server", server}} {
		if o.id != "" {
			e.settled(o.kind+"/"+o.id, o.key, o.service)
			e.t.Logf("%s %s", o.key, e.state(o.service, o.kind+"/"+o.id, o.key))
			e.remove(o.service, o.kind, o.key, o.id)
		}
	}
	e.works(name + "-after")
}

func (e *exhausted) undisturbed(server string, guest int) {
	if now := e.guestOf(server); now != guest {
		e.report.Violation("I-33: the guest of %s was process %d and is %d", server, guest, now)
	}
	e.remove(e.compute, "servers", "server", server)
}
