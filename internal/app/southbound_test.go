package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/engine"
	"github.com/mekcloud/mek/internal/network/engines"
	"github.com/mekcloud/mek/internal/network/ovn"
	"github.com/mekcloud/mek/internal/pki"
)

// southbound speaks with the database as ovn-controller does.
type southbound struct {
	t    *testing.T
	conn io.ReadWriteCloser
	in   *json.Decoder
}

type ops = []map[string]any

func speak(t *testing.T, conn io.ReadWriteCloser) *southbound {
	t.Cleanup(func() { _ = conn.Close() })
	return &southbound{t, conn, json.NewDecoder(conn)}
}

// transact gives the results, one for each operation that was done; the last
// may be an error.
func (s *southbound) transact(list ops) (results []map[string]any, failed string) {
	s.t.Helper()
	params := []any{"OVN_Southbound"}
	for _, o := range list {
		params = append(params, o)
	}
	if err := json.NewEncoder(s.conn).Encode(map[string]any{"method": "transact", "params": params, "id": 7}); err != nil {
		s.t.Fatal(err)
	}
	for {
		var m struct {
			ID     any
			Method string
			Params []any
			Result []map[string]any
			Error  any
		}
		if err := s.in.Decode(&m); err != nil {
			s.t.Fatal(err)
		}
		if m.Method == "echo" {
			if err := json.NewEncoder(s.conn).Encode(map[string]any{"id": m.ID, "result": m.Params, "error": nil}); err != nil {
				s.t.Fatal(err)
			}
			continue
		}
		for _, r := range m.Result {
			if text, bad := r["error"]; bad {
				failed = fmt.Sprint(text, ": ", r["details"])
			}
		}
		return m.Result, failed
	}
}

func chassis(name string) ops {
	return ops{{"op": "insert", "table": "Encap", "uuid-name": "e", "row": map[string]any{"type": "geneve", "ip": "192.0.2." + fmt.Sprint(len(name)), "chassis_name": name}},
		{"op": "insert", "table": "Chassis", "row": map[string]any{"name": name, "hostname": name, "encaps": []any{"named-uuid", "e"}}}}
}

func named(name string) []any { return []any{[]any{"name", "==", name}} }

// newCentral prepares OVN's databases; nothing runs yet.
func newCentral(t *testing.T) (engines.Central, *engine.Set, []engine.Process) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "mek-sb-") // sockets want short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	central := engines.Central{Data: filepath.Join(dir, "d"), Run: filepath.Join(dir, "r"), Logs: filepath.Join(dir, "l")}
	set, err := engine.NewSet(filepath.Join(dir, "e"), clock.Real{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := central.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	processes, err := central.Processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		t.Cleanup(func() { _ = set.Stop(context.Background(), p.Name, time.Second) })
	}
	return central, set, processes
}

// TestHostsComeEarly: hosts that come all at once, before northd has written
// anything into the database, get in as soon as it has.
func TestHostsComeEarly(t *testing.T) {
	central, set, processes := newCentral(t)
	for _, p := range processes {
		if p.Name == "ovn-northd" {
			continue
		}
		if _, err := set.Ensure(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	early, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	if port, err := ovn.HostsPort(early, central.Southbound()); err == nil {
		t.Fatalf("port %d before there is anything in the database", port)
	}
	const hosts = 8
	ports, failed := make(chan int, hosts), make(chan error, hosts)
	for range hosts {
		go func() {
			port, err := ovn.HostsPort(ctx, central.Southbound())
			ports <- port
			failed <- err
		}()
	}
	for _, p := range processes {
		if _, err := set.Ensure(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[int]bool{}
	for range hosts {
		seen[<-ports] = true
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if len(seen) != 1 {
		t.Errorf("ports %v", seen)
	}
}

// TestHostsWriteOfThemselves (R20): OVN's southbound database takes from a host
// what is of its own chassis, and nothing of others or of the network's rules,
// whatever name it gives itself.
func TestHostsWriteOfThemselves(t *testing.T) {
	central, set, processes := newCentral(t)
	for _, p := range processes {
		if _, err := set.Ensure(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	socket := strings.TrimPrefix(central.Southbound(), "unix:")
	local, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	all := speak(t, local)
	for end := time.Now().Add(time.Minute); ; { // northd writes the roles, and apart from them the row that holds the doors
		out, _ := all.transact(ops{{"op": "select", "table": "RBAC_Role", "where": []any{}}, {"op": "select", "table": "SB_Global", "where": []any{}}})
		if len(out[0]["rows"].([]any)) > 0 && len(out[1]["rows"].([]any)) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("northd does not begin the database: %v", out)
		}
	}
	if err := set.Stop(t.Context(), "ovn-northd", time.Second); err != nil { // it would take away what it does not know
		t.Fatal(err)
	}
	if _, failed := all.transact(append(chassis("other-host"), map[string]any{"op": "insert", "table": "Address_Set", "row": map[string]any{"name": "as"}})); failed != "" {
		t.Fatal(failed)
	}
	conn, err := serveSouthbound(socket, pki.OpenLocal(engines.KeysIn(central.Data)), clock.Real{})(t.Context(), "host-1", nil)
	if err != nil {
		t.Fatal(err)
	}
	host := speak(t, conn)
	if _, failed := host.transact(chassis("host-1")); failed != "" {
		t.Errorf("a host's own chassis: %s", failed)
	}
	if out, failed := host.transact(ops{{"op": "update", "table": "Chassis", "where": named("host-1"), "row": map[string]any{"external_ids": []any{"map", []any{[]any{"a", "b"}}}}}}); failed != "" || out[0]["count"] != 1.0 {
		t.Errorf("a change of a host's own chassis: %v %s", out, failed)
	}
	for what, list := range map[string]ops{
		"another's chassis":              chassis("third"),
		"a change of another's chassis":  {{"op": "update", "table": "Chassis", "where": named("other-host"), "row": map[string]any{"external_ids": []any{"map", []any{[]any{"a", "b"}}}}}},
		"another's name":                 {{"op": "update", "table": "Chassis", "where": named("host-1"), "row": map[string]any{"name": "other-2"}}},
		"the end of another's chassis":   {{"op": "delete", "table": "Chassis", "where": named("other-host")}},
		"the end of another's tunnel":    {{"op": "delete", "table": "Encap", "where": []any{[]any{"chassis_name", "==", "other-host"}}}},
		"a set of addresses":             {{"op": "update", "table": "Address_Set", "where": named("as"), "row": map[string]any{"addresses": "192.0.2.7"}}},
		"the end of a set of addresses":  {{"op": "delete", "table": "Address_Set", "where": named("as")}},
		"a group of ports":               {{"op": "insert", "table": "Port_Group", "row": map[string]any{"name": "pg"}}},
		"a network":                      {{"op": "insert", "table": "Datapath_Binding", "row": map[string]any{"tunnel_key": 7}}},
		"more rights":                    {{"op": "update", "table": "RBAC_Role", "where": named("ovn-controller"), "row": map[string]any{"permissions": []any{"map", []any{}}}}},
		"another door":                   {{"op": "update", "table": "Connection", "where": []any{[]any{"role", "==", "ovn-controller"}}, "row": map[string]any{"role": ""}}},
		"an order of the whole database": {{"op": "update", "table": "SB_Global", "where": []any{}, "row": map[string]any{"nb_cfg": 77}}},
	} {
		out, failed := host.transact(list)
		if !strings.Contains(failed, "permission error") {
			t.Errorf("%s: %v %s", what, out, failed)
		}
	}
	left, failed := all.transact(ops{{"op": "select", "table": "Chassis", "where": named("other-host")}, {"op": "select", "table": "Address_Set", "where": named("as")}})
	if failed != "" || len(left[0]["rows"].([]any)) != 1 || len(left[1]["rows"].([]any)) != 1 {
		t.Errorf("left: %v %s", left, failed)
	}
	again, err := serveSouthbound(socket, pki.OpenLocal(engines.KeysIn(central.Data)), clock.Real{})(t.Context(), "third", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, failed := speak(t, again).transact(chassis("third")); failed != "" {
		t.Errorf("the next host's own chassis: %s", failed)
	}
}
