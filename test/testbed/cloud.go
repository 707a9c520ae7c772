package testbed

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/internal/installation/cloudsyaml"
	"github.com/mekcloud/mek/test/report"
)

// User is somebody who uses a cloud from one of the bed's machines.
type User struct {
	m                                  *Machine
	Client                             *apiclient.Client
	Compute, Volume, Network, Image    *apiclient.Service
	flavor, image, network, key, group string
	transport                          *http.Transport
}

// askTimeout bounds one request of a user.
const askTimeout = 20 * time.Second

// User logs in as an entry of the machine's clouds.yaml.
func (m *Machine) User(name string) *User {
	m.bed.t.Helper()
	return m.UserOf(m, name)
}

// UserOf logs in at another machine's cloud, from this one.
func (m *Machine) UserOf(server *Machine, name string) *User {
	m.bed.t.Helper()
	entries, err := cloudsyaml.Read(filepath.Join(server.data, "clouds.yaml"))
	if err != nil {
		m.bed.t.Fatal(err)
	}
	e := entries[name]
	u := &User{m: m}
	if name == "demo" {
		u.key, u.group = "demo", "ssh-and-ping"
	}
	u.transport = &http.Transport{DialContext: m.Dial, DisableKeepAlives: true, ResponseHeaderTimeout: askTimeout,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // the address is the machine's own
	u.Client, err = apiclient.New(m.bed.t.Context(), apiclient.Options{AuthURL: e.Auth.AuthURL + "/", User: e.Auth.Username, Password: e.Auth.Password,
		Project: e.Auth.ProjectName, Domain: e.Auth.UserDomainName, Region: e.RegionName, Transport: u.transport})
	if err != nil {
		m.bed.t.Fatal(err)
	}
	for kind, s := range map[string]struct {
		at      **apiclient.Service
		version string
	}{apiclient.Compute: {&u.Compute, "2.74"}, apiclient.Volume: {&u.Volume, ""}, apiclient.Network: {&u.Network, ""}, apiclient.Image: {&u.Image, ""}} {
		if *s.at, err = u.Client.Service(kind, s.version); err != nil {
			m.bed.t.Fatal(err)
		}
	}
	u.flavor = u.Named(u.Compute, "flavors", "flavors", "m1.tiny")
	u.image = u.Named(u.Image, "images", "images", "tiny")
	u.network = u.Named(u.Network, "networks", "networks", "private")
	return u
}

// KeepConnections has one connection serve many requests, as clients that are
// in a hurry do. Before, each request shows how the wire is at that moment.
func (u *User) KeepConnections() {
	u.transport.DisableKeepAlives, u.transport.MaxIdleConnsPerHost = false, 64
	u.m.bed.t.Cleanup(u.transport.CloseIdleConnections)
}

// Named is the id of the one object of a name.
func (u *User) Named(s *apiclient.Service, path, key, name string) string {
	u.m.bed.t.Helper()
	o, ok, err := s.Find(u.m.bed.t.Context(), path, key, name, nil)
	if err != nil || !ok {
		u.m.bed.t.Fatalf("%s %s: %v", path, name, err)
	}
	return o.Text("id")
}

func (u *User) post(s *apiclient.Service, path string, body, out any) {
	u.m.bed.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	if err := s.Post(ctx, path, body, out); err != nil {
		u.m.bed.t.Fatalf("%s: %s", path, apiclient.Reason(err))
	}
}

// Server asks for a tiny server; on names its host, which takes an
// administrator, or is empty.
func (u *User) Server(name, on string) string {
	u.m.bed.t.Helper()
	body := map[string]any{"name": name, "flavorRef": u.flavor, "imageRef": u.image, "networks": []map[string]any{{"uuid": u.network}}}
	if u.key != "" {
		body["key_name"], body["security_groups"] = u.key, []map[string]any{{"name": u.group}}
	}
	if on != "" {
		body["host"] = on
	}
	return u.server(body)
}

func (u *User) server(body map[string]any) string {
	u.m.bed.t.Helper()
	var out map[string]apiclient.Object
	u.post(u.Compute, "servers", map[string]any{"server": body}, &out)
	return out["server"].Text("id")
}

// ServerThatRuns asks for a server of a flavor that runs a script when it has started.
func (u *User) ServerThatRuns(name, flavor, script string) string {
	u.m.bed.t.Helper()
	return u.server(map[string]any{"name": name, "flavorRef": flavor, "imageRef": u.image, "networks": []map[string]any{{"uuid": u.network}},
		"user_data": base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\n" + script + "\n"))})
}

// Port makes a port that is bound to a host.
func (u *User) Port(network, host, name string) string {
	u.m.bed.t.Helper()
	var out map[string]apiclient.Object
	u.post(u.Network, "ports", map[string]any{"port": map[string]any{"network_id": network, "name": name, "binding:host_id": host}}, &out)
	return out["port"].Text("id")
}

// MakeNetwork makes a network with a subnet.
func (u *User) MakeNetwork(name, cidr string) string {
	u.m.bed.t.Helper()
	var out map[string]apiclient.Object
	u.post(u.Network, "networks", map[string]any{"network": map[string]any{"name": name}}, &out)
	id := out["network"].Text("id")
	u.post(u.Network, "subnets", map[string]any{"subnet": map[string]any{"network_id": id, "cidr": cidr, "ip_version": 4}}, nil)
	return id
}

// RemovePorts removes the ports of a network that are bound to a host, and waits until they are gone from it.
func (u *User) RemovePorts(network, host string) {
	u.m.bed.t.Helper()
	list := func() ([]apiclient.Object, error) {
		return u.Network.List(u.m.bed.t.Context(), "ports", "ports", url.Values{"network_id": {network}, "binding:host_id": {host}})
	}
	ports, err := list()
	if err != nil {
		u.m.bed.t.Fatal(err)
	}
	for _, p := range ports {
		if err := u.Network.Delete(u.m.bed.t.Context(), "ports/"+p.Text("id")); err != nil {
			u.m.bed.t.Fatal(apiclient.Reason(err))
		}
	}
	u.m.bed.Until("the ports are gone from the host", 2*time.Minute, func() (bool, string) {
		out, err := u.m.Run(10*time.Second, "ip", "-o", "link", "show", "type", "tun")
		n := len(tapNames.FindAllString(out, -1)) // bridges of a switch in userspace are of the same type
		return err == nil && n == 0, fmt.Sprint(n, " taps ", err)
	})
}

// tapNames are the links of ports.
var tapNames = regexp.MustCompile(`mk[0-9a-f]{13}[:@]`)

// Show gives a server, or an error as the API answers it.
func (u *User) Show(id string) (apiclient.Object, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	var out map[string]apiclient.Object
	err := u.Compute.Get(ctx, "servers/"+id, &out)
	return out["server"], err
}

// Await waits for a status without work under way, and gives the server.
func (u *User) Await(id, status string, limit time.Duration) apiclient.Object {
	u.m.bed.t.Helper()
	var last apiclient.Object
	u.m.bed.Until("server "+id+" becomes "+status, limit, func() (bool, string) {
		s, err := u.Show(id)
		if err != nil {
			return false, err.Error()
		}
		last = s
		if s.Text("status") == "ERROR" && status != "ERROR" {
			u.m.bed.t.Fatalf("server %s is in ERROR: %v", id, s["fault"])
		}
		return s.Text("status") == status && s["OS-EXT-STS:task_state"] == nil, fmt.Sprint(s.Text("status"), s["OS-EXT-STS:task_state"])
	})
	return last
}

// Act does something with a server.
func (u *User) Act(id, action string, params any) {
	u.m.bed.t.Helper()
	u.post(u.Compute, "servers/"+id+"/action", map[string]any{action: params}, nil)
}

// Remove deletes a server and answers how long it took to be gone.
func (u *User) Remove(id string, limit time.Duration) time.Duration {
	u.m.bed.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	if err := u.Compute.Delete(ctx, "servers/"+id); err != nil {
		u.m.bed.t.Fatalf("delete server: %s", apiclient.Reason(err))
	}
	return u.m.bed.Until("server "+id+" is gone", limit, func() (bool, string) {
		s, err := u.Show(id)
		return apiclient.IsNotFound(err), fmt.Sprint(s.Text("status"), s["OS-EXT-STS:task_state"], err)
	})
}

// Float gives a server a floating address.
func (u *User) Float(id string) string {
	u.m.bed.t.Helper()
	ports, err := u.Network.List(u.m.bed.t.Context(), "ports", "ports", url.Values{"device_id": {id}})
	if err != nil || len(ports) == 0 {
		u.m.bed.t.Fatalf("ports of server %s: %v", id, err)
	}
	var out map[string]apiclient.Object
	u.post(u.Network, "floatingips", map[string]any{"floatingip": map[string]any{
		"floating_network_id": u.Named(u.Network, "networks", "networks", "public"), "port_id": ports[0].Text("id")}}, &out)
	return out["floatingip"].Text("floating_ip_address")
}

// LetPingIn opens the security groups of a server for pings.
func (u *User) LetPingIn(id string) {
	u.m.bed.t.Helper()
	ports, err := u.Network.List(u.m.bed.t.Context(), "ports", "ports", url.Values{"device_id": {id}})
	if err != nil || len(ports) == 0 {
		u.m.bed.t.Fatalf("ports of server %s: %v", id, err)
	}
	groups, _ := ports[0]["security_groups"].([]any)
	for _, group := range groups {
		u.post(u.Network, "security-group-rules", map[string]any{"security_group_rule": map[string]any{"security_group_id": group, "direction": "ingress", "protocol": "icmp"}}, nil)
	}
}

// AddressOf is a server's address on its network.
func (u *User) AddressOf(s apiclient.Object) string {
	u.m.bed.t.Helper()
	for _, list := range s.Inner("addresses") {
		entries, _ := list.([]any)
		for _, e := range entries {
			if a, _ := e.(map[string]any); a["OS-EXT-IPS:type"] == "fixed" {
				return fmt.Sprint(a["addr"])
			}
		}
	}
	u.m.bed.t.Fatalf("server without an address: %v", s["addresses"])
	return ""
}

// Hosts tells of each host of the cloud whether it is up.
func (u *User) Hosts() map[string]string {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	list, err := u.Compute.List(ctx, "os-services", "services", url.Values{"binary": {"nova-compute"}})
	out := map[string]string{}
	if err != nil {
		out["error"] = err.Error()
	}
	for _, s := range list {
		out[s.Text("host")] = s.Text("state")
	}
	return out
}

// Metric sums a metric of the machine's server, over the lines with some labels.
func (m *Machine) Metric(name string, labels ...string) float64 {
	m.bed.t.Helper()
	c := &http.Client{Timeout: askTimeout, Transport: &http.Transport{DialContext: m.Dial, DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := c.Get("https://" + m.Address + ":8443/metrics") // for who is on the machine
	if err != nil {
		m.bed.t.Fatal(err)
	}
	defer resp.Body.Close()
	sum, err := report.Metric(resp.Body, name, labels...)
	if err != nil || resp.StatusCode != http.StatusOK {
		m.bed.t.Fatalf("metrics: %s %v", resp.Status, err)
	}
	return sum
}

// SSH runs a command in a guest, from this machine.
func (m *Machine) SSH(address, command string) (string, error) {
	out, err := m.Run(40*time.Second, m.ssh(address, 3, command)...)
	return strings.TrimRight(out, "\n"), err
}

// FollowSSH runs a command in a guest for as long as it takes, and gives each
// line that it says, when it says it.
func (m *Machine) FollowSSH(timeout time.Duration, address, command string, said func(line string)) error {
	return m.Follow(timeout, said, m.ssh(address, 60, command)...)
}

// ssh is the command line; a guest may be silent for so many times two seconds.
func (m *Machine) ssh(address string, patience int, command string) []string {
	return []string{"ssh", "-q", "-i", filepath.Join(m.dir, ".ssh", "mek-demo"), "-o", "BatchMode=yes", "-o", "ConnectTimeout=5",
		"-o", "ServerAliveInterval=2", "-o", fmt.Sprint("ServerAliveCountMax=", patience), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "IdentitiesOnly=yes", "cirros@" + address, "PATH=$PATH:/sbin:/usr/sbin; " + command}
}

// Send copies a file into a guest.
func (m *Machine) Send(address, file, to string) {
	m.bed.t.Helper()
	if _, err := m.Run(3*time.Minute, "scp", "-q", "-i", filepath.Join(m.dir, ".ssh", "mek-demo"), "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", file, "cirros@"+address+":"+to); err != nil {
		m.bed.t.Fatal(err)
	}
}

// AwaitSSH waits until a guest answers.
func (m *Machine) AwaitSSH(address string) time.Duration {
	m.bed.t.Helper()
	return m.bed.Until("ssh to "+address, 3*time.Minute, func() (bool, string) {
		out, err := m.SSH(address, "echo up")
		return err == nil && out == "up", fmt.Sprint(out, err)
	})
}

// Guest is SSH that must succeed.
func (m *Machine) Guest(address, command string) string {
	m.bed.t.Helper()
	out, err := m.SSH(address, command)
	if err != nil {
		m.bed.t.Fatalf("%s in the guest: %v", command, err)
	}
	return out
}

// MakeVolume makes a volume of 1 GiB.
func (u *User) MakeVolume(name string) string {
	u.m.bed.t.Helper()
	var out map[string]apiclient.Object
	u.post(u.Volume, "volumes", map[string]any{"volume": map[string]any{"name": name, "size": 1}}, &out)
	id := out["volume"].Text("id")
	u.awaitVolume(id, "available")
	return id
}

func (u *User) volume(id string) apiclient.Object {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	var out map[string]apiclient.Object
	if err := u.Volume.Get(ctx, "volumes/"+id, &out); err != nil {
		return apiclient.Object{"status": err.Error()}
	}
	return out["volume"]
}

func (u *User) awaitVolume(id, status string) {
	u.m.bed.t.Helper()
	u.m.bed.Until("volume "+id+" becomes "+status, time.Minute, func() (bool, string) {
		seen := u.volume(id).Text("status")
		return seen == status, seen
	})
}

// Attach gives a server a volume.
func (u *User) Attach(server, volume string) {
	u.m.bed.t.Helper()
	u.post(u.Compute, "servers/"+server+"/os-volume_attachments", map[string]any{"volumeAttachment": map[string]any{"volumeId": volume}}, nil)
	u.awaitVolume(volume, "in-use")
}

// VolumeHost is where a volume is, for an administrator.
func (u *User) VolumeHost(id string) string {
	host, _, _ := strings.Cut(u.volume(id).Text("os-vol-host-attr:host"), "@")
	return host
}

// Flavor makes a flavor.
func (u *User) Flavor(name string, cpus, memoryMiB, diskGiB int) string {
	u.m.bed.t.Helper()
	var out map[string]apiclient.Object
	u.post(u.Compute, "flavors", map[string]any{"flavor": map[string]any{"name": name, "vcpus": cpus, "ram": memoryMiB, "disk": diskGiB}}, &out)
	return out["flavor"].Text("id")
}

// ServiceOf is the compute service of a host.
func (u *User) ServiceOf(host string) string {
	u.m.bed.t.Helper()
	list, err := u.Compute.List(u.m.bed.t.Context(), "os-services", "services", url.Values{"binary": {"nova-compute"}, "host": {host}})
	if err != nil || len(list) != 1 {
		u.m.bed.t.Fatalf("compute service of %s: %v %v", host, list, err)
	}
	return list[0].Text("id")
}

// Disable keeps new servers off a host, or lets them on.
func (u *User) Disable(service string, yes bool) {
	u.m.bed.t.Helper()
	status := map[bool]string{true: "disabled", false: "enabled"}[yes]
	if err := u.Compute.Put(u.m.bed.t.Context(), "os-services/"+service, map[string]any{"status": status}, nil); err != nil {
		u.m.bed.t.Fatalf("compute service: %s", apiclient.Reason(err))
	}
}
