package plan

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/config"
	"github.com/mekcloud/mek/internal/engine"
)

func TestDatabasesStartFirstAndOursLast(t *testing.T) {
	p := Plan{
		Central: []engine.Process{{Name: "ovn-nb", Path: "/usr/sbin/ovsdb-server"}, {Name: "ovn-northd", Path: "/usr/bin/ovn-northd"}},
		Switch:  []engine.Process{{Name: "ovs-db", Path: "/usr/sbin/ovsdb-server"}, {Name: "ovs-vswitchd", Path: "/usr/sbin/ovs-vswitchd"}},
		Own:     []engine.Process{{Name: ServerName}},
	}
	var got [][]string
	for _, stage := range p.Stages() {
		var names []string
		for _, proc := range stage {
			names = append(names, proc.Name)
		}
		got = append(got, names)
	}
	if len(got) != 3 || len(got[0]) != 2 || got[0][0] != "ovn-nb" || got[0][1] != "ovs-db" || got[2][0] != ServerName {
		t.Fatalf("%v", got)
	}
	if only := (Plan{Own: p.Own}).Stages(); len(only) != 1 {
		t.Fatalf("empty stages: %v", only)
	}
}

func TestVersionFollowsProgramAndSettings(t *testing.T) {
	dir := t.TempDir()
	exe := filepath.Join(dir, "exe")
	if err := os.WriteFile(exe, []byte("1"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := config.Default(dir)
	seen := map[string]bool{}
	look := func(want bool) {
		t.Helper()
		v, err := Version(c, exe)
		if err != nil || seen[v] == want {
			t.Fatalf("%s: new %v, want %v, %v", v, !seen[v], want, err)
		}
		seen[v] = true
	}
	look(true)
	look(false)
	if err := os.WriteFile(c.Path(config.OperatorFile), []byte("region: Here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	look(true)
	if err := os.Chtimes(exe, time.Unix(9, 0), time.Unix(9, 0)); err != nil {
		t.Fatal(err)
	}
	look(true)
}

func TestSwitchIsOfThisCloud(t *testing.T) {
	c := config.Default("/var/lib/some")
	sw, err := HostSwitch(c.Agent(), true, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if sw.External.String() != "172.24.4.1/24" || sw.Integration() != "mk"+c.Hash[:4]+"int" || sw.Identity()["ovn-bridge-datapath-type"] != "netdev" {
		t.Fatalf("%+v", sw)
	}
	c.Network.TunnelAddress = "nonsense"
	if _, err := HostSwitch(c.Agent(), true, nil, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("a wrong tunnel address passed")
	}
}

func TestLocalURL(t *testing.T) {
	for listen, want := range map[string]string{"0.0.0.0:443": "https://127.0.0.1:443", "[::]:8443": "https://127.0.0.1:8443",
		"192.0.2.1:5": "https://192.0.2.1:5", "[::1]:5": "https://[::1]:5"} {
		c := config.Default("/x")
		c.Listen = listen
		if got := LocalURL(c); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}
