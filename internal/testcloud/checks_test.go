package testcloud_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/testcloud"
)

// city is a cloud with one of everything.
type city struct {
	*testcloud.Cloud
	t *testing.T

	server, port, network, subnet, router, floating, volume, image string
}

func newCity(t *testing.T) *city {
	c := &city{Cloud: testcloud.New(t, testcloud.Hosts(2)), t: t}
	made := func(of *testcloud.Client, path, one string, body object) string {
		a := of.Do("POST", path, object{one: body})
		if a.Status >= 300 {
			t.Fatalf("%s: %d %s", path, a.Status, a.Body)
		}
		return a.String(one + ".id")
	}
	_, c.image = server(t, c.Cloud) // for its flavor and image
	outside := made(c.Admin, "/networking/v2.0/networks", "network", object{"name": "out", "router:external": true})
	made(c.Admin, "/networking/v2.0/subnets", "subnet", object{"network_id": outside, "cidr": "198.51.100.0/24", "ip_version": 4})
	c.network = made(c.Demo, "/networking/v2.0/networks", "network", object{"name": "n"})
	c.subnet = made(c.Demo, "/networking/v2.0/subnets", "subnet", object{"network_id": c.network, "cidr": "10.9.0.0/24", "ip_version": 4})
	c.router = made(c.Demo, "/networking/v2.0/routers", "router", object{"name": "r", "external_gateway_info": object{"network_id": outside}})
	c.Demo.Do("PUT", "/networking/v2.0/routers/"+c.router+"/add_router_interface", object{"subnet_id": c.subnet}).Expect(http.StatusOK)
	c.server = c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "s", "flavorRef": "f1", "imageRef": c.image,
		"networks": []any{object{"uuid": c.network}}}}).Expect(http.StatusAccepted).String("server.id")
	c.RunTasks()
	c.port = c.Demo.Get("/networking/v2.0/ports?device_id=" + c.server).Expect(http.StatusOK).String("ports.0.id")
	c.floating = made(c.Demo, "/networking/v2.0/floatingips", "floatingip", object{"floating_network_id": outside, "port_id": c.port})
	c.volume = made(c.Demo, "/volume/v3/volumes", "volume", object{"size": 1})
	c.RunTasks()
	c.Demo.Do("POST", "/compute/v2.1/servers/"+c.server+"/os-volume_attachments", object{"volumeAttachment": object{"volumeId": c.volume}}).Expect(http.StatusOK)
	c.RunTasks()
	c.Check()
	return c
}

// exec plants with SQL; {name} stands for the city's ids.
func (c *city) exec(statements string) {
	c.t.Helper()
	for name, id := range map[string]string{"server": c.server, "port": c.port, "network": c.network, "subnet": c.subnet, "router": c.router,
		"floating": c.floating, "volume": c.volume, "image": c.image} {
		statements = strings.ReplaceAll(statements, "{"+name+"}", id)
	}
	err := c.DB.Write(context.Background(), func(tx *db.Tx) error {
		for s := range strings.SplitSeq(statements, ";") {
			if _, err := tx.ExecContext(context.Background(), s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		c.t.Fatalf("%s: %v", statements, err)
	}
}

const (
	saga = `INSERT INTO task_sagas (id, op, version, object, project_id, user_id, request_id, state, shared, preempt, cancel, direction, step, attempts, not_before,
		deadline, params, saved, error, owner, epoch, lease_until, created_at, updated_at) VALUES `
	far = "9000000000000000" // microseconds
)

// plants is a way to break each code that rows show. They add up on one cloud.
var plants = []struct{ code, sql string }{
	{"I-04/address-outside", "UPDATE network_subnets SET cidr = '10.10.0.0/24' WHERE id = '{subnet}'"},
	{"I-04/address-twice", `INSERT INTO network_subnets SELECT 'sub2', project_id, name, description, revision, created_at, updated_at, tags, network_id, ip_version, cidr, gateway_ip,
		enable_dhcp, ra_mode, address_mode, pools, dns_nameservers, host_routes, service_types, pool_id FROM network_subnets WHERE id = '{subnet}';
		INSERT INTO network_addresses SELECT 'sub2', address, port_id, 7 FROM network_addresses WHERE port_id = '{port}' AND subnet_id = '{subnet}'`},
	{"I-05/association", "UPDATE network_floatings SET fixed_address = '10.77.0.1' WHERE id = '{floating}'"},
	{"I-05/floating-port", "UPDATE network_floatings SET address = '198.51.100.250' WHERE id = '{floating}'"},
	{"I-37/network-reference", "UPDATE network_networks SET qos_policy_id = 'gone' WHERE id = '{network}'"},
	{"I-08/network-orphan", "INSERT INTO network_tags (object, tag) VALUES ('gone', 'red')"},
	{"I-04/ghost-port", "UPDATE network_ports SET device_id = 'gone' WHERE device_owner = 'network:floatingip'"},
	{"I-21/port-status", "UPDATE network_ports SET status = 'DOWN' WHERE id = '{port}'"},
	{"I-06/amount", "UPDATE placement_allocations SET used = used + 1 WHERE class = 'VCPU' AND consumer = '{server}'"},
	{"I-06/over-capacity", "UPDATE placement_inventories SET total = 0 WHERE class = 'MEMORY_MB'"},
	{"I-11/allocation-ratio", "UPDATE placement_inventories SET allocation_ratio = 'NaN' WHERE class = 'VCPU'"},
	{"I-06/missing-allocation", "DELETE FROM placement_allocations WHERE consumer = '{server}'"},
	{"I-06/ghost-consumer", `INSERT INTO placement_consumers (uuid, project_id, user_id, type, generation, created_at, updated_at) VALUES ('ghost', 'p', 'u', 'INSTANCE', 1, 1, 1);
		INSERT INTO placement_allocations SELECT 'ghost', provider, class, 1, 1 FROM placement_inventories WHERE class = 'DISK_GB'`},
	{"I-06/empty-consumer", "INSERT INTO placement_consumers (uuid, project_id, user_id, type, generation, created_at, updated_at) VALUES ('empty', 'p', 'u', '', 1, 1, 1)"},
	{"I-09/provider-parent", "UPDATE placement_providers SET parent = 'gone' WHERE name = 'sim-2'"},
	{"I-07/missing-attachment", "UPDATE blockstorage_attachments SET server_id = 'another' WHERE volume_id = '{volume}'"},
	{"I-07/missing-disk", "UPDATE blockstorage_attachments SET status = 'attached'"},
	{"I-07/volume-status", "UPDATE blockstorage_volumes SET status = 'available' WHERE id = '{volume}'"},
	{"I-07/ghost-attachment", "UPDATE blockstorage_attachments SET volume_id = 'gone'"},
	{"I-08/volume-host", "UPDATE blockstorage_volumes SET kept = false WHERE id = '{volume}'"},
	{"I-08/volume-orphan", "INSERT INTO blockstorage_labels (object_id, kind, name, value) VALUES ('gone', 'metadata', 'a', 'b')"},
	{"I-09/volume-parent", "UPDATE blockstorage_volumes SET group_id = 'gone' WHERE id = '{volume}'"},
	{"I-13/volume-status", "UPDATE blockstorage_volumes SET status = 'extending' WHERE id = '{volume}'"},
	{"I-22/volume-error", "UPDATE blockstorage_volumes SET status = 'error', error = '' WHERE id = '{volume}'"},
	{"I-13/volume-saga", saga + "('s1', 'blockstorage.volume.create', 1, 'gone', '', '', '', 'live', false, false, false, 'forward', 'host', 0, 0, " + far + ", '{}', '{}', '', 'other', 1, " + far + ", 1, 1)"},
	{"I-13/server-saga", saga + "('s2', 'compute.server.create', 1, 'gone too', '', '', '', 'live', false, false, false, 'forward', 'begin', 0, 0, " + far + ", '{}', '{}', '', 'other', 1, " + far + ", 1, 1)"},
	{"I-13/image-turn", `INSERT INTO compute_image_requests (id, aggregate, images, total, done, project_id, user_id, request_id) VALUES ('r1', '{}', '[]', 1, 0, '', '', '');
		INSERT INTO compute_image_hosts (id, request, host, running, created_at) VALUES ('t1', 'r1', 'sim-1', true, 1)`},
	{"I-37/image-request", "INSERT INTO compute_image_requests (id, aggregate, images, total, done, project_id, user_id, request_id) VALUES ('r2', '{}', '[]', 2, 1, '', '', '')"},
	{"I-13/image-task", `INSERT INTO image_tasks (id, image_id, owner, user_id, request_id, type, status, message, input, created_at, updated_at)
		VALUES ('k1', '', '', '', '', 'import', 'processing', '', '{}', 1, 1)`},
	{"I-14/saga-unknown", saga + "('s3', 'compute.server.fly', 1, 'x', '', '', '', 'live', false, false, false, 'forward', 'wings', 0, 0, " + far + ", '{}', '{}', '', 'other', 1, " + far + ", 1, 1)"},
	{"I-12/saga-overdue", "UPDATE task_sagas SET deadline = 1 WHERE id = 's3'"},
	{"I-12/saga-abandoned", "UPDATE task_sagas SET lease_until = 1 WHERE id = 's3'"},
	{"I-14/stuck-undo", `INSERT INTO task_cleanups (id, owner, saga, op, step, object, project_id, params, saved, error, attempts, not_before, created_at)
		VALUES ('c', 'sim-1', 's', 'compute.server.create', 'guest', 'x', '', '{}', '{}', 'no', 9, ` + far + `, 1)`},
	{"I-16/server-back", "INSERT INTO compute_ended_servers (id, project_id, launched_at, ended_at, data) VALUES ('{server}', '', 1, 2, '{}')"},
	{"I-08/migration", `INSERT INTO compute_migrations (id, serial, server, project_id, user_id, kind, status, source_host, dest_host, kept_host, unsettled, created_at, updated_at, data)
		VALUES ('m', 99, 'moved away', '', '', 'resize', 'finished', 'sim-1', 'sim-2', 'sim-1', true, 1, 1, '{}')`},
	{"I-13/migration", `UPDATE compute_migrations SET data = '{"ID":"m","Server":"moved away","Status":"migrating","SourceHost":"sim-1","Unsettled":true}'`},
	{"I-25/assignment", "INSERT INTO identity_assignments (id, user_id, system, role_id, inherited, created_at) SELECT 'a', id, false, (SELECT id FROM identity_roles LIMIT 1), false, 1 FROM identity_users LIMIT 1"},
	{"I-09/project-parent", `INSERT INTO identity_projects (id, name, domain_id, parent_id, description, enabled, is_domain, options, extra, created_at)
		VALUES ('d2', 'd2', NULL, NULL, '', true, true, '{}', '{}', 1), ('p2', 'p2', 'default', 'd2', '', true, false, '{}', '{}', 1)`},
	{"I-09/provider-domain", "INSERT INTO identity_providers (id, domain_id, enabled, created_at) SELECT 'idp', id, true, 1 FROM identity_projects WHERE NOT is_domain LIMIT 1"},
	{"I-25/access-rule", `INSERT INTO identity_access_rules (id, user_id, service, path, method, created_at) SELECT 'rule', id, 's', '/', 'GET', 1 FROM identity_users WHERE name = 'admin';
		INSERT INTO identity_app_credentials (id, name, description, user_id, project_id, secret_hash, unrestricted, expires_at, created_at)
		SELECT 'cred', 'c', '', id, 'p2', '', false, 0, 1 FROM identity_users WHERE name = 'demo';
		INSERT INTO identity_app_credential_rules (app_credential_id, rule_id) VALUES ('cred', 'rule')`},
	{"I-25/trust", `INSERT INTO identity_trusts (id, trustor_id, trustee_id, impersonation, expires_at, remaining_uses, redelegated_id, redelegation_count, allow_redelegation, extra, created_at)
		SELECT 't1', id, id, true, 5, -1, NULL, 1, true, '{}', 1 FROM identity_users WHERE name = 'demo';
		INSERT INTO identity_trusts (id, trustor_id, trustee_id, impersonation, expires_at, remaining_uses, redelegated_id, redelegation_count, allow_redelegation, extra, created_at)
		SELECT 't2', id, id, true, 6, -1, 't1', 0, true, '{}', 1 FROM identity_users WHERE name = 'demo'`},
	{"I-11/negative", "INSERT INTO serials (name, last) VALUES ('x', -1)"},
	{"I-35/host-behind", "UPDATE hoststate_revisions SET revision = revision + 1000 WHERE host = 'sim-2'"},
	{"I-24/chain", "UPDATE outbox_records SET created_at = created_at + 1 WHERE sequence = 1"},
	{"I-04/port-of-nobody", "DELETE FROM compute_nics WHERE port_id = '{port}'"},
	{"I-03/missing-card-port", "INSERT INTO compute_nics (port_id, server, position, network_id, addresses, defined, data) VALUES ('gone', '{server}', 5, '', '', true, '{}')"},
	{"I-13/server-task", `UPDATE compute_servers SET data = REPLACE(data, '"VM":"active"', '"VM":"active","Task":"rebooting"') WHERE id = '{server}'`},
	{"I-15/attachment-state", "UPDATE blockstorage_attachments SET status = 'flying'"},
	{"I-15/backup-state", `INSERT INTO blockstorage_backups VALUES ('b', '', '', '', true, '', true, '', '', '', 1, 'flying', '', '', '', 0, '', '', '', false, false, '{}', '{}', '', '', 1, 1, 1)`},
	{"I-15/group-state", `INSERT INTO blockstorage_group_types VALUES ('gt', 'gt', '', true, true, '{}', 1);
		INSERT INTO blockstorage_groups VALUES ('g', '', '', '', true, '', true, 'gt', '[]', '', 'flying', '', '', '', 1, 1)`},
	{"I-15/group-snapshot-state", "INSERT INTO blockstorage_group_snapshots VALUES ('gs', '', '', 'g', 'gt', '', true, '', true, 'flying', '', 1, 1)"},
	{"I-15/snapshot-state", `INSERT INTO blockstorage_snapshots VALUES ('sn', '', '', '{volume}', '', true, '', true, 1, 'flying', '', '', '', false, '', false, '{}', '{}', '', '', '', 1, 1)`},
	{"I-15/image-state", "UPDATE image_images SET status = 'flying' WHERE id = '{image}'"},
	{"I-15/task-state", "INSERT INTO image_tasks VALUES ('ta', '', '', '', '', '', 'flying', '', '{}', 1, 1, 'null')"},
	{"I-15/floating-ip-state", "UPDATE network_floatings SET status = 'flying' WHERE id = '{floating}'"},
	{"I-15/port-state", "UPDATE network_ports SET status = 'flying' WHERE id = '{port}'"},
	{"I-15/migration-state", `INSERT INTO compute_migrations (id, serial, server, project_id, user_id, kind, status, source_host, dest_host, kept_host, unsettled, created_at, updated_at, data)
		VALUES ('mf', 98, 'moved away', '', '', 'resize', 'flying', 'sim-1', 'sim-2', '', false, 1, 1, '{}')`},
	{"I-15/volume-state", "UPDATE blockstorage_volumes SET status = 'flying' WHERE id = '{volume}'"},
	{"I-15/server-state", `UPDATE compute_servers SET data = REPLACE(data, '"VM":"active"', '"VM":"flying"') WHERE id = '{server}'`},
	{"I-22/server-error", `UPDATE compute_servers SET data = REPLACE(REPLACE(data, '"VM":"flying"', '"VM":"error"'), '"Task":"rebooting"', '"Task":""') WHERE id = '{server}'`},
	{"I-01/missing-guest", `UPDATE compute_servers SET host = CASE host WHEN 'sim-1' THEN 'sim-2' ELSE 'sim-1' END, data = REPLACE(REPLACE(REPLACE(data, '"Host":"sim-1"', '"Host":"sim-9"'),
		'"Host":"sim-2"', '"Host":"sim-1"'), '"Host":"sim-9"', '"Host":"sim-2"') WHERE vm_state = 'active' AND id <> '{server}'`},
	{"I-01/ghost-guest", "DELETE FROM compute_disks WHERE server = '{server}'; DELETE FROM compute_nics WHERE server = '{server}'; DELETE FROM compute_servers WHERE id = '{server}'"},
	{"I-08/ghost-volume", "DELETE FROM blockstorage_volumes WHERE id = '{volume}'"},
	{"I-03/ghost-port", "UPDATE network_ports SET host = '' WHERE id = '{port}'"},
}

// lies is what hosts can be wrong about.
var lies = map[string]func(c *city, host string, inv *hostlink.Inventory){
	"I-01/ghost-guest": func(_ *city, host string, inv *hostlink.Inventory) {
		addObject(inv, hostlink.Guests, hostlink.ObjectReport{ID: "gone", Phase: hostlink.Ready})
	},
	"I-01/missing-guest": func(_ *city, _ string, inv *hostlink.Inventory) {
		if inv.Section == hostlink.Guests {
			inv.Objects = nil
		}
	},
	"I-02/two-guests": func(c *city, _ string, inv *hostlink.Inventory) {
		facts, _ := json.Marshal(guest.Facts{ID: c.server, Power: guest.Running})
		addObject(inv, hostlink.Guests, hostlink.ObjectReport{ID: c.server, Phase: hostlink.Ready, Facts: facts})
	},
	"I-02/two-writers": func(c *city, _ string, inv *hostlink.Inventory) {
		changeFacts(inv, func(f *guest.Facts) {
			f.Disks = append(f.Disks, guest.DiskFact{ID: c.volume, Attached: true})
		})
	},
	"I-21/power": func(_ *city, _ string, inv *hostlink.Inventory) {
		changeFacts(inv, func(f *guest.Facts) { f.Power = guest.Stopped })
	},
	"I-21/stalled": func(_ *city, _ string, inv *hostlink.Inventory) {
		changeFacts(inv, func(f *guest.Facts) { f.Power, f.Stalled = guest.Paused, true })
	},
	"I-07/guest-disk": func(_ *city, _ string, inv *hostlink.Inventory) {
		changeFacts(inv, func(f *guest.Facts) { f.Disks = nil })
	},
	"I-03/guest-card": func(_ *city, _ string, inv *hostlink.Inventory) {
		changeFacts(inv, func(f *guest.Facts) { f.NICs = append(f.NICs, guest.NICFact{PortID: "strange", Attached: true}) })
	},
	"I-03/missing-port": func(_ *city, _ string, inv *hostlink.Inventory) {
		if inv.Section == hostlink.Ports {
			inv.Objects = nil
		}
	},
	"I-08/missing-volume": func(_ *city, _ string, inv *hostlink.Inventory) {
		if inv.Section == hostlink.Volumes {
			inv.Objects = nil
		}
	},
	"I-08/volume-size": func(_ *city, _ string, inv *hostlink.Inventory) {
		for i := range inv.Objects {
			if inv.Section == hostlink.Volumes {
				inv.Objects[i].Facts, _ = json.Marshal(disk.Facts{ID: inv.Objects[i].ID, SizeBytes: 7})
			}
		}
	},
	"I-35/host-behind": func(_ *city, _ string, inv *hostlink.Inventory) { inv.Revision = 0 },
	"I-31/user":        processes(guest.Process{UID: 0, Seccomp: 2, NoNewPrivs: true}),
	"I-31/seccomp":     processes(guest.Process{UID: 7, Seccomp: 0, NoNewPrivs: true}),
	"I-31/descriptor": processes(guest.Process{UID: 7, Seccomp: 2, NoNewPrivs: true, Open: []string{"/guests/11111111-2222-4333-8444-555555555555/root"}},
		guest.Process{ID: "11111111-2222-4333-8444-555555555555", UID: 8, Seccomp: 2, NoNewPrivs: true}),
	"I-31/network": processes(held(func(p *guest.Process) { p.Network = "net:[1]" })),
	"I-31/core":    processes(held(func(p *guest.Process) { p.Core = -1 })),
	"I-31/limits":  processes(held(func(p *guest.Process) { p.Asked.Limits.DiskReadIOPS = 5 })),
}

// held is a process as it shall be, but for what change does to it.
func held(change func(p *guest.Process)) guest.Process {
	p := guest.Process{UID: 7, Seccomp: 2, NoNewPrivs: true, Network: "net:[2]", Core: 1, Asked: &guest.Asked{MemoryMiB: 64, Limits: guest.Limits{CPUQuotaUS: 50_000}},
		Caps: guest.Caps{Own: true, MemoryBytes: 600 << 20, Processes: 520, CPUQuotaUS: 50_000, CPUPeriodUS: 100_000}}
	change(&p)
	return p
}

// TestProcessesAsTheyShallBe: nothing is found of a process that is held, and
// each cap that is missing is.
func TestProcessesAsTheyShallBe(t *testing.T) {
	c := newCity(t)
	look := func(p guest.Process) string {
		lie := processes(p)
		var codes []string
		for _, f := range c.Lying(func(host string, inv *hostlink.Inventory) { lie(c, host, inv) }) {
			if strings.HasPrefix(f.Code, "I-31/") && !slices.Contains(codes, f.Code) {
				codes = append(codes, f.Code)
			}
		}
		return strings.Join(codes, " ")
	}
	for _, change := range []func(p *guest.Process){
		func(*guest.Process) {}, func(p *guest.Process) { p.Core = 0 },
		func(p *guest.Process) { p.Asked.Limits.DiskReadIOPS, p.Caps.Disks = 5, true },
		func(p *guest.Process) { p.Caps.CPUQuotaUS, p.Caps.CPUPeriodUS = 5_000, 10_000 },
		func(p *guest.Process) { p.Asked = nil },
	} {
		p := held(change)
		if got := look(p); got != "" {
			t.Errorf("%s is found of %+v", got, p)
		}
	}
	for _, change := range []func(p *guest.Process){
		func(p *guest.Process) { p.Caps.Own = false }, func(p *guest.Process) { p.Caps.MemoryBytes = 0 }, func(p *guest.Process) { p.Caps.MemoryBytes = 64 << 30 },
		func(p *guest.Process) { p.Caps.Processes = 0 }, func(p *guest.Process) { p.Caps.CPUQuotaUS = 0 }, func(p *guest.Process) { p.Caps.CPUQuotaUS = 60_000 },
	} {
		p := held(change)
		if got := look(p); got != "I-31/limits" {
			t.Errorf("%q is found of %+v", got, p)
		}
	}
}

func processes(list ...guest.Process) func(*city, string, *hostlink.Inventory) {
	return func(c *city, _ string, inv *hostlink.Inventory) {
		if inv.Section != hostlink.Guests {
			return
		}
		if list[0].ID == "" {
			list[0].ID = c.server
		}
		inv.More, _ = json.Marshal(guest.Inventory{Processes: list, Network: "net:[1]"})
	}
}

func addObject(inv *hostlink.Inventory, s hostlink.Section, o hostlink.ObjectReport) {
	if inv.Section == s {
		inv.Objects = append(slices.DeleteFunc(inv.Objects, func(old hostlink.ObjectReport) bool { return old.ID == o.ID }), o)
	}
}

func changeFacts(inv *hostlink.Inventory, change func(*guest.Facts)) {
	for i := range inv.Objects {
		if inv.Section == hostlink.Guests {
			var f guest.Facts
			_ = json.Unmarshal(inv.Objects[i].Facts, &f)
			change(&f)
			inv.Objects[i].Facts, _ = json.Marshal(f)
		}
	}
}

// elsewhere are codes that other tests plant, because no statement can.
var elsewhere = map[string]string{
	"I-38/quarantined": "TestTheServerNoticesThatItsDatabaseWentBack", "I-38/lost": "TestARestoredDatabaseDestroysNothing", "I-38/diverged": "TestARestoredDatabaseDestroysNothing",
	"I-38/unshipped":     "app.TestUnshippedLogIsFound",
	"I-37/damaged":       "check.TestDamagedFile",
	"I-37/dangling-row":  "check.TestDamagedFile",
	"I-08/missing-bytes": "transfers tests", "I-08/size": "transfers tests", "I-08/stray-bytes": "transfers tests", "I-21/digest": "transfers tests",
	"I-10/object-account": "store tests", "I-10/object-container": "store tests", "I-08/object-body": "store tests", "I-08/object-claim": "store tests",
	"I-08/object-strays": "store tests", "I-08/object-expiry": "store tests", "I-08/object-damaged": "store tests", "I-08/object-lost": "store tests",
	"I-08/object-garbage": "store tests",
}

// TestEveryCodeCanBeFound: a check that cannot fail is a defect. Each violation
// is planted in turn and must be found; a healthy cloud has none of them.
func TestEveryCodeCanBeFound(t *testing.T) {
	c := newCity(t)
	c.Breaks()
	found := map[string]bool{}
	told := func(list []check.Finding) map[string]string {
		out := map[string]string{}
		for _, f := range list {
			out[f.Code] = f.String()
			if strings.HasPrefix(f.Code, "doctor/") {
				t.Errorf("%s", f)
			}
		}
		return out
	}
	if before := told(c.Findings(check.Quiesced)); len(before) > 0 {
		t.Fatalf("a healthy cloud: %v", before)
	}
	for code, lie := range lies {
		if told(c.Lying(func(host string, inv *hostlink.Inventory) { lie(c, host, inv) }))[code] == "" {
			t.Errorf("%s is not found when a host lies", code)
		}
		found[code] = true
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "images", "strange"), []byte("x"), 0o600); err != nil {
		t.Error(err)
	} else if told(c.Findings(check.Quiesced))["I-08/unknown-file"] == "" {
		t.Error("I-08/unknown-file is not found")
	}
	found["I-08/unknown-file"] = true
	for _, p := range plants {
		c.exec(p.sql)
		if told(c.Findings(check.Quiesced))[p.code] == "" {
			t.Errorf("%s is not found", p.code)
		}
		found[p.code] = true
	}
	for _, code := range c.Codes() {
		if !found[code.ID] && elsewhere[code.ID] == "" && !strings.HasSuffix(code.ID, "/northbound") {
			t.Errorf("%s is never planted", code.ID)
		}
	}
}

// TestBusyCloudIsHealthy: what is under way is no violation.
func TestBusyCloudIsHealthy(t *testing.T) {
	c := newCity(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 6 {
			id := c.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "b", "flavorRef": "f1", "imageRef": c.image,
				"networks": []any{object{"uuid": c.network}}}}).String("server.id")
			volume := c.Demo.Do("POST", "/volume/v3/volumes", object{"volume": object{"size": 1}}).String("volume.id")
			c.RunTasks()
			c.Demo.Do("POST", "/compute/v2.1/servers/"+id+"/os-volume_attachments", object{"volumeAttachment": object{"volumeId": volume}})
			c.Demo.Do("POST", "/compute/v2.1/servers/"+id+"/action", object{"reboot": object{"type": "HARD"}})
			c.Demo.Do("DELETE", "/compute/v2.1/servers/"+id, nil)
		}
	}()
	for looks := 0; ; looks++ {
		for _, f := range c.Findings(check.Live) {
			t.Errorf("after %d looks: %s", looks, f)
		}
		select {
		case <-done:
			t.Logf("%d looks", looks+1)
			return
		default:
		}
	}
}

// TestEverySagaIsExercised: F1 walks every saga that the cloud registers.
func TestEverySagaIsExercised(t *testing.T) {
	testcloud.New(t).RequireFixtures("..")
}

// TestStatesThatAdministratorsSet are errors with a reason, too (I-22).
func TestStatesThatAdministratorsSet(t *testing.T) {
	c := testcloud.New(t)
	id, _ := server(t, c)
	c.Admin.Do("POST", "/compute/v2.1/servers/"+id+"/action", object{"os-resetState": object{"state": "error"}}).Expect(http.StatusAccepted)
	volume := c.Demo.Do("POST", "/volume/v3/volumes", object{"volume": object{"size": 1}}).String("volume.id")
	c.RunTasks()
	c.Admin.Do("POST", "/volume/v3/volumes/"+volume+"/action", object{"os-reset_status": object{"status": "error"}}).Expect(http.StatusAccepted)
	c.Check()
}
