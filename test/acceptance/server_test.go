package acceptance

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestServer is the first hour of a user: a server with all that belongs to it,
// made, reached, used and deleted with the standard client.
func TestServer(t *testing.T) {
	c := newCloud(t)
	key := filepath.Join(c.dir, "key")
	privateKey, ok := c.openstack("keypair", "create", "k1").value.(string)
	if !ok {
		t.Fatal("keypair create printed no private key")
	}
	if err := os.WriteFile(key, []byte(privateKey), 0o600); err != nil {
		t.Fatal(err)
	}
	c.as("admin", "image", "create", "--disk-format", "qcow2", "--container-format", "bare", "--public", "--file", guestImage(t), "guest")
	c.openstack("network", "create", "net1")
	c.openstack("subnet", "create", "--network", "net1", "--subnet-range", "10.66.0.0/24", "sub1")
	c.openstack("router", "create", "r1")
	c.openstack("router", "set", "--external-gateway", "public", "r1")
	c.openstack("router", "add", "subnet", "r1", "sub1")
	c.openstack("security", "group", "create", "open")
	c.openstack("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "open")
	c.openstack("security", "group", "rule", "create", "--protocol", "icmp", "open")

	userData := filepath.Join(c.dir, "user-data")
	if err := os.WriteFile(userData, []byte("#!/bin/sh\necho user-data was here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	make := func(name string, extra ...string) {
		t.Helper()
		c.openstack(append([]string{"server", "create", "--flavor", "m1.tiny", "--image", "guest", "--network", "net1", "--key-name", "k1",
			"--security-group", "open", "--user-data", userData, name}, extra...)...)
	}
	make("web-1")
	make("web-2", "--config-drive", "True")
	c.untilServer("web-1", "ACTIVE")
	c.untilServer("web-2", "ACTIVE")
	address := c.openstack("floating", "ip", "create", "public").text("floating_ip_address")
	c.openstack("server", "add", "floating", "ip", "web-1", address)

	c.untilSSH(address, key)
	t.Run("rights", func(t *testing.T) { checkRights(t, c) })
	t.Run("guest", func(t *testing.T) { checkGuest(t, c, address, key) })
	t.Run("neighbours", func(t *testing.T) { checkNeighbours(t, c, address, key) })
	t.Run("volume", func(t *testing.T) { checkVolume(t, c, address, key) })
	t.Run("console", func(t *testing.T) { checkConsole(t, c) })
	t.Run("security group", func(t *testing.T) { checkGroup(t, c, address, key) })
	t.Run("power", func(t *testing.T) { checkPower(t, c, address, key) })
	t.Run("delete", func(t *testing.T) { checkDelete(t, c, address) })
}

func checkGuest(t *testing.T, c *cloud, address, key string) {
	for command, want := range map[string]string{
		"hostname | cut -d. -f1": "web-1",
		"curl -s http://169.254.169.254/openstack/latest/meta_data.json | grep -c '\"name\": *\"web-1\"'": "1",
		"curl -s http://169.254.169.254/openstack/latest/user_data | tail -1":                             "echo user-data was here",
		"ip -4 addr show eth0 | grep -c 'inet 10.66.0.'":                                                  "1",
	} {
		if got := c.guest(address, key, command); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	c.until("metadata tells the floating address", 20*time.Second, func() (bool, string) {
		out, err := c.ssh(address, key, "curl -s http://169.254.169.254/latest/meta-data/public-ipv4")
		return err == nil && out == address, out
	})
	log, err := c.run(time.Minute, "/usr/bin/openstack", "--os-cloud", "demo", "console", "log", "show", "web-1")
	if err != nil || !strings.Contains(log, "login:") || !strings.Contains(log, "user-data was here") {
		t.Errorf("console log: %v; %.300s", err, log)
	}
}

// addressOf is a server's fixed address.
func (c *cloud) addressOf(server, network string) string {
	c.t.Helper()
	v := c.openstack("server", "show", server).value.(map[string]any)["addresses"]
	list, _ := v.(map[string]any)[network].([]any) // none: no address
	for _, a := range list {
		if s := fmt.Sprint(a); strings.HasPrefix(s, "10.") {
			return s
		}
	}
	c.t.Fatalf("server %s has no address on %s: %v", server, network, v)
	return ""
}

// checkNeighbours: servers of one network reach each other, one of another
// project does not, and a spoofed source gets nowhere.
func checkNeighbours(t *testing.T, c *cloud, address, key string) {
	peer := c.addressOf("web-2", "net1")
	c.until("web-1 reaches web-2", time.Minute, func() (bool, string) {
		out, err := c.ssh(address, key, "ping -c2 -w4 "+peer)
		return err == nil, out
	})
	source := "10.66.0.250"
	for _, other := range []string{"10.66.0.251", "10.66.0.252"} { // the servers' own are by chance
		if source == peer || source == c.addressOf("web-1", "net1") {
			source = other
		}
	}
	spoof := fmt.Sprintf("sudo ip addr add %[1]s/32 dev eth0; ping -c2 -w3 -I %[1]s %s; code=$?; sudo ip addr del %[1]s/32 dev eth0; exit $code", source, peer)
	if out, err := c.ssh(address, key, spoof); err == nil {
		t.Errorf("a spoofed source was answered: %s", out)
	}
	c.as("admin", "network", "create", "other")
	c.as("admin", "subnet", "create", "--network", "other", "--subnet-range", "10.66.0.0/24", "other-sub")
	c.as("admin", "server", "create", "--flavor", "m1.tiny", "--image", "guest", "--network", "other", "stranger")
	c.until("the stranger is ACTIVE", 2*time.Minute, func() (bool, string) {
		v := c.as("admin", "server", "show", "stranger").text("status")
		return v == "ACTIVE", v
	})
	addresses := c.as("admin", "server", "show", "stranger").value.(map[string]any)["addresses"]
	list := addresses.(map[string]any)["other"].([]any)
	if stranger := fmt.Sprint(list[0]); stranger != peer && stranger != c.addressOf("web-1", "net1") {
		if _, err := c.ssh(address, key, "ping -c2 -w3 "+stranger); err == nil {
			t.Error("a server of another project's network was reached")
		}
	}
	c.as("admin", "server", "delete", "--wait", "stranger")
	c.as("admin", "network", "delete", "other")
}

func checkVolume(t *testing.T, c *cloud, address, key string) {
	c.openstack("volume", "create", "--size", "1", "--image", "guest", "bootable")
	c.until("the volume made of an image is available", time.Minute, func() (bool, string) {
		v := c.openstack("volume", "show", "bootable").text("status")
		return v == "available", v
	})
	c.openstack("volume", "delete", "bootable")
	id := c.openstack("volume", "create", "--size", "1", "data").text("id")
	c.until("the volume is available", time.Minute, func() (bool, string) {
		v := c.openstack("volume", "show", "data").text("status")
		return v == "available", v
	})
	c.openstack("server", "add", "volume", "web-1", "data")
	serial := "cat /sys/block/vd?/serial"
	c.until("the guest sees the volume", time.Minute, func() (bool, string) {
		out, err := c.ssh(address, key, serial)
		return err == nil && strings.Contains(out, id[:20]), out
	})
	device := c.guest(address, key, "for d in /sys/block/vd?; do grep -q "+id[:20]+" $d/serial && echo ${d##*/}; done; true")
	c.guest(address, key, "sudo mkfs.ext4 -q /dev/"+device+" && sudo mount /dev/"+device+" /mnt && echo kept | sudo tee /mnt/f && sudo umount /mnt && sync")
	c.openstack("server", "remove", "volume", "web-1", "data")
	c.until("the guest lost the volume", time.Minute, func() (bool, string) {
		out, err := c.ssh(address, key, serial+" 2>/dev/null; true")
		return err == nil && !strings.Contains(out, id[:20]), out
	})
	c.until("the volume is available again", time.Minute, func() (bool, string) {
		v := c.openstack("volume", "show", "data").text("status")
		return v == "available", v
	})
}

// checkConsole speaks RFB through the address that users paste into a browser.
func checkConsole(t *testing.T, c *cloud) {
	address, err := url.Parse(c.openstack("console", "url", "show", "web-1").text("url"))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: c.inside, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	page, err := client.Get(address.String())
	if err != nil || page.StatusCode != http.StatusOK {
		t.Fatalf("the console's page: %v %v", page, err)
	}
	page.Body.Close()
	socket := *address
	socket.Path, socket.RawQuery, _ = strings.Cut("/"+address.Query().Get("path"), "?")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, socket.String(), &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"binary"}})
	if err != nil {
		t.Fatalf("websocket: %v", err)
	}
	defer ws.CloseNow()
	_, hello, err := ws.Read(ctx)
	if err != nil || !strings.HasPrefix(string(hello), "RFB 003.") {
		t.Errorf("RFB greeting: %q %v", hello, err)
	}
	if _, _, err := websocket.Dial(ctx, socket.String(), &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"binary"}}); err == nil {
		t.Error("the token worked twice")
	}
}

// checkGroup closes port 22 and opens it again.
func checkGroup(t *testing.T, c *cloud, address, key string) {
	rules, _ := c.openstack("security", "group", "rule", "list", "open", "--protocol", "tcp").value.([]any) // none: fails below
	if len(rules) != 1 {
		t.Fatalf("rules of the group: %v", rules)
	}
	c.openstack("security", "group", "rule", "delete", fmt.Sprint(rules[0].(map[string]any)["ID"]))
	c.until("the closed port is closed", 15*time.Second, func() (bool, string) {
		_, err := c.ssh(address, key, "true")
		return exitCode(err) != 0, "ssh still answers"
	})
	c.openstack("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "open")
	c.untilSSH(address, key)
}

func checkPower(t *testing.T, c *cloud, address, key string) {
	booted := func() string { return c.guest(address, key, "cat /proc/sys/kernel/random/boot_id") }
	before := booted()
	c.openstack("server", "reboot", "--wait", "web-1")
	c.until("the guest rebooted", 2*time.Minute, func() (bool, string) {
		out, err := c.ssh(address, key, "cat /proc/sys/kernel/random/boot_id")
		return err == nil && out != before, out
	})
	c.openstack("server", "stop", "web-1")
	c.untilServer("web-1", "SHUTOFF")
	c.openstack("server", "start", "web-1")
	c.untilServer("web-1", "ACTIVE")
	c.untilSSH(address, key)
}

func checkDelete(t *testing.T, c *cloud, address string) {
	c.openstack("server", "delete", "--wait", "web-1", "web-2")
	c.openstack("floating", "ip", "delete", address)
	c.openstack("volume", "delete", "data")
	c.openstack("router", "remove", "subnet", "r1", "sub1")
	c.openstack("router", "delete", "r1")
	c.openstack("network", "delete", "net1")
	c.openstack("security", "group", "delete", "open")
	c.openstack("keypair", "delete", "k1")
	c.as("admin", "image", "delete", "guest")
	c.until("no guest process is left", 30*time.Second, func() (bool, string) {
		out, err := c.run(10*time.Second, "pgrep", "-af", "qemu-system.*"+c.ns)
		return exitCode(err) == 1, out
	})
	if out := c.mek("doctor"); strings.Contains(out, "✗") {
		t.Errorf("doctor: %s", out)
	}
}
