package installation

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/apiclient"
	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/installation/preflight"
)

func TestPublicSubnetLeavesTheHostItsAddresses(t *testing.T) {
	body, err := publicSubnet("net", "172.24.4.0/24")
	if err != nil {
		t.Fatal(err)
	}
	s := apiclient.Object(body).Inner("subnet")
	pool := s["allocation_pools"].([]any)[0].(map[string]any)
	if s.Text("gateway_ip") != "172.24.4.1" || pool["start"] != "172.24.4.10" || pool["end"] != "172.24.4.254" {
		t.Fatalf("%v", s)
	}
}

func TestStrayTaps(t *testing.T) {
	ports := []apiclient.Object{{"id": "12345678-9abc-4000-8000-000000000000"}}
	var links []net.Interface
	for _, name := range []string{"lo", "mkabcd123456789", "mkabcdffff00001", "mkabcdint", "mkabcdmeta", "mkffff123456780", "mkabcdexternal"} {
		links = append(links, net.Interface{Name: name})
	}
	found := strayTaps(links, ports, "mkabcd")
	if len(found) != 1 || found[0].Subject != "link mkabcdffff00001" {
		t.Fatalf("%+v", found)
	}
}

func TestQuoteSurvivesAShell(t *testing.T) {
	for _, s := range []string{"", "plain", "it's $HOME `x` \"y\" \\", "a\nb"} {
		out, err := exec.Command("/bin/sh", "-c", "printf %s "+quote(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("%q came back as %q, %v", s, out, err)
		}
	}
}

func TestAnErrorHasFourParts(t *testing.T) {
	var out bytes.Buffer
	p := &Printer{Err: &out}
	f := &Failure{Code: ExitBlocked, What: "network", Why: errors.New("name exists"), Do: "Rename it.", Look: "/log"}
	p.Fail(f)
	for _, part := range []string{"✗ network: name exists", "Rename it.", "Details: /log"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("%q lacks %q", out.String(), part)
		}
	}
	if ExitCode(f) != ExitBlocked || ExitCode(errors.New("x")) != ExitFailed || ExitCode(nil) != ExitDone {
		t.Error("exit codes")
	}
}

func TestMachinesReadJSONOnly(t *testing.T) {
	var out, errs bytes.Buffer
	i := &Installation{Options: Options{Print: &Printer{Out: &out, Err: &errs, JSON: true}}}
	i.showChecks([]preflight.Result{{Check: "clock", Outcome: preflight.Limited, Found: "f", Do: "d"}})
	i.Print.line("for people")
	if out.Len() != 0 || !strings.Contains(errs.String(), `"step":"clock"`) {
		t.Fatalf("out %q, err %q", &out, &errs)
	}
}

func TestTheDoorsNamesLeaveOutAddressesOfGuests(t *testing.T) {
	c := config.Default(t.TempDir())
	c.ServerNames = []string{"cloud.example", "192.0.2.9", "127.0.0.1"}
	c.Listen = "192.0.2.7:443"
	n := doorNames(c)
	count := map[netip.Addr]int{}
	for _, a := range n.Addresses {
		count[a]++
	}
	for _, want := range []string{"127.0.0.1", "::1", "192.0.2.7", "192.0.2.9", "172.24.4.1"} {
		if count[netip.MustParseAddr(want)] != 1 {
			t.Errorf("%s is there %d times in %v", want, count[netip.MustParseAddr(want)], n.Addresses)
		}
	}
	if n.Hosts[len(n.Hosts)-1] != "cloud.example" {
		t.Errorf("%v", n.Hosts)
	}
}

func FuzzMountLine(f *testing.F) {
	f.Add("36 35 98:0 / /sys/fs/cgroup/unified rw,noatime master:1 - cgroup2 cgroup2 rw")
	f.Add("40 35 0:32 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu")
	f.Add("- - - -")
	f.Fuzz(func(t *testing.T, line string) {
		point, kind, options := mountLine(line)
		if (kind == "") != (options == nil) || kind != "" && !strings.Contains(line, point) {
			t.Fatalf("%q: %q %q %v", line, point, kind, options)
		}
	})
}
