package simulation

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
)

func (w *world) violation(format string, args ...any) {
	w.t.Helper()
	w.count(violations, 1)
	w.note("VIOLATION "+format, args...)
	w.t.Errorf("violation at %.3f s: %s", time.Since(w.began).Seconds(), fmt.Sprintf(format, args...))
}

// violations is their name among the counts.
const violations = "violations"

// rows reads one text per row.
func rows(w *world, d *db.DB, query string) []string {
	w.t.Helper()
	found, err := d.QueryContext(context.Background(), query)
	if err != nil {
		w.violation("%s: %v", query, err)
		return nil
	}
	defer found.Close()
	var out []string
	for found.Next() {
		var s string
		if err := found.Scan(&s); err != nil {
			w.violation("%s: %v", query, err)
		}
		out = append(out, s)
	}
	if err := found.Err(); err != nil {
		w.violation("%s: %v", query, err)
	}
	return out
}

// rest waits until the cloud has come to rest by itself (I-35, I-14, I-12).
func (w *world) rest() {
	w.t.Helper()
	w.idle()
	w.note("no saga is left")
	time.Sleep(2 * time.Minute) // every host is rendered again, every reconciler has run
}

// idle waits until no saga is left.
func (w *world) idle() {
	w.t.Helper()
	const bound = 15 * time.Minute
	end := time.Now().Add(bound)
	for {
		up := w.server()
		if up == nil && time.Now().Before(end) { // it died of itself, and is being started
			time.Sleep(time.Second)
			continue
		}
		d := up.db
		open := rows(w, d, "SELECT op || ' of ' || object || ' at ' || step || ' ' || direction || ': ' || error FROM task_sagas")
		open = append(open, rows(w, d, "SELECT 'clean-up of ' || owner || ' for ' || op || ' at ' || step || ' of ' || object || ': ' || error FROM task_cleanups")...)
		if len(open) == 0 {
			break
		}
		if time.Now().After(end) {
			w.violation("after %v without faults this is still going on:\n%s", bound, strings.Join(open, "\n"))
			return
		}
		time.Sleep(time.Second)
	}
}

// check compares what is known on all sides, once the cloud is at rest.
func (w *world) check() {
	w.t.Helper()
	d := w.server().db
	none := func(code, query string) {
		for _, s := range rows(w, d, query) {
			w.violation("%s: %s", code, s)
		}
	}
	none("I-37", "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'")
	none("I-37", `SELECT "table" FROM pragma_foreign_key_check`)
	none("I-12", `SELECT id || ' ' || vm_state || ' ' || task_state FROM compute_servers WHERE task_state <> '' OR vm_state IN ('building')`)
	none("I-12", `SELECT id || ' ' || status FROM blockstorage_volumes WHERE status NOT IN ('available', 'in-use', 'error', 'reserved')`)
	none("I-12", `SELECT id || ' ' || status FROM blockstorage_snapshots WHERE status NOT IN ('available', 'error')`)
	none("I-04", `SELECT subnet_id || ' ' || address FROM network_addresses GROUP BY subnet_id, address HAVING count(*) > 1`)
	none("I-05", `SELECT id FROM network_floatings f WHERE port_id <> '' AND NOT EXISTS (SELECT 1 FROM network_ports p WHERE p.id = f.port_id)`)
	none("I-05", `SELECT port_id || ' ' || fixed_address FROM network_floatings WHERE port_id <> '' GROUP BY port_id, fixed_address HAVING count(*) > 1`)
	none("I-03", `SELECT 'port ' || id || ' of server ' || device_id FROM network_ports p WHERE device_owner LIKE 'compute:%' AND
		NOT EXISTS (SELECT 1 FROM compute_servers s WHERE s.id = p.device_id)`)
	none("I-07", `SELECT 'attachment ' || id || ' of server ' || server_id FROM blockstorage_attachments a WHERE server_id <> '' AND
		NOT EXISTS (SELECT 1 FROM compute_servers s WHERE s.id = a.server_id)`)
	none("I-07", `SELECT 'volume ' || id || ' is ' || status FROM blockstorage_volumes v WHERE (status IN ('in-use', 'reserved')) <>
		EXISTS (SELECT 1 FROM blockstorage_attachments a WHERE a.volume_id = v.id) AND status <> 'error'`)
	none("I-06", `SELECT 'consumer ' || consumer FROM placement_allocations WHERE NOT EXISTS (SELECT 1 FROM compute_servers s WHERE s.id = consumer)
		AND NOT EXISTS (SELECT 1 FROM compute_migrations m WHERE m.id = consumer)`)
	none("I-06", `SELECT s.id || ' on ' || s.host || ' ' || s.vm_state FROM compute_servers s WHERE s.host <> '' AND s.vm_state NOT IN ('shelved_offloaded') AND
		NOT EXISTS (SELECT 1 FROM placement_allocations a JOIN placement_providers p ON p.uuid = a.provider WHERE a.consumer = s.id AND p.name = s.host)`)
	report, err := w.server().cloud.Checks.Run(context.Background(), check.Quiesced)
	if err != nil {
		w.violation("checks: %v", err)
	}
	for _, f := range report.Findings {
		w.violation("%s", f)
	}
	w.compareGuests(d)
	w.comparePorts(d)
	w.compareVolumes(d)
	w.compareQuotas()
}

// compareGuests: every guest is one server's that belongs on its host, and runs if that runs (I-01).
func (w *world) compareGuests(d *db.DB) {
	want := map[string]string{}
	for _, s := range rows(w, d, `SELECT host || ' ' || id || ' ' || vm_state FROM compute_servers WHERE host <> '' AND vm_state NOT IN ('shelved_offloaded', 'error')`) {
		at, state := s[:strings.LastIndex(s, " ")], s[strings.LastIndex(s, " ")+1:]
		want[at] = state
	}
	failed := rows(w, d, `SELECT host || ' ' || id FROM compute_servers WHERE vm_state = 'error'`)
	power := map[guest.Power][]string{guest.Running: {"active", "rescued", "resized"}, guest.Paused: {"paused"}, guest.Stopped: {"stopped", "resized", "suspended"},
		guest.Crashed: {"stopped", "resized", "rescued"}, guest.Suspended: {"suspended"}}
	for _, h := range w.hosts {
		list, err := h.driver.List(context.Background())
		if err != nil {
			w.violation("inventory: %v", err)
		}
		for _, g := range list {
			at := h.name + " " + g.ID
			state, ok := want[at]
			delete(want, at)
			if !ok && !slices.Contains(failed, at) && len(rows(w, d, "SELECT id FROM compute_servers WHERE vm_state = 'resized' AND id = '"+g.ID+"'")) == 0 {
				w.violation("I-01/stray-guest: %s is %s and nobody's there", at, g.Power)
			}
			if ok && !slices.Contains(power[g.Power], state) {
				w.violation("I-01/power: %s is %s, its server %s", at, g.Power, state)
			}
		}
	}
	for at, state := range want {
		w.violation("I-01/missing-guest: %s is %s, and there is no guest", at, state)
	}
}

// comparePorts: every port on a host is bound there, and conversely (I-03).
func (w *world) comparePorts(d *db.DB) {
	want := map[string]bool{}
	for _, s := range rows(w, d, `SELECT host || ' ' || id FROM network_ports WHERE host <> '' AND device_owner LIKE 'compute:%'`) {
		want[s] = true
	}
	for _, h := range w.hosts {
		list, err := h.ports.Inventory(context.Background())
		if err != nil {
			w.violation("inventory: %v", err)
		}
		for _, p := range list {
			at := h.name + " " + p.ID
			if !want[at] {
				w.violation("I-03/stray-port: %s", at)
			}
			delete(want, at)
		}
	}
	for at := range maps.Keys(want) {
		w.violation("I-03/missing-port: %s", at)
	}
}

// compareVolumes: every volume and snapshot on a host has a row, and conversely (I-08).
func (w *world) compareVolumes(d *db.DB) {
	want := map[string]bool{}
	for _, s := range rows(w, d, `SELECT host || ' ' || id FROM blockstorage_volumes WHERE kept UNION SELECT host || ' ' || id FROM blockstorage_snapshots WHERE kept`) {
		want[s] = true
	}
	for _, h := range w.hosts {
		list, err := h.volumes.List(context.Background())
		if err != nil {
			w.violation("inventory: %v", err)
		}
		for _, v := range list {
			at := h.name + " " + v.ID
			if !want[at] {
				w.violation("I-08/stray-volume: %s; rows: %v", at, rows(w, d, "SELECT host || ' kept ' || kept || ' move_to ' || move_to || ' ' || status || ' ' || migration || ' epoch ' || epoch FROM blockstorage_volumes WHERE id = '"+v.ID+"'"))
			}
			delete(want, at)
		}
	}
	for at := range want {
		w.violation("I-08/missing-volume: %s", at)
	}
}

// compareQuotas: what quotas say is used is what a recount finds (I-10).
func (w *world) compareQuotas() {
	get := func(path string) answer {
		a, err := w.call(context.Background(), w.base.demo, "GET", path, nil)
		if err != nil || a.status != http.StatusOK {
			w.violation("GET %s: %v %s", path, err, a)
		}
		return a
	}
	limits, list := get("/compute/v2.1/limits"), get("/compute/v2.1/servers/detail?limit=1000").list("servers")
	if got := limits.value("limits.absolute.totalInstancesUsed"); got != float64(len(list)) {
		w.violation("I-10: %v instances used, %d servers listed", got, len(list))
	}
	limits, list = get("/volume/v3/limits"), get("/volume/v3/volumes/detail").list("volumes")
	if got := limits.value("limits.absolute.totalVolumesUsed"); got != float64(len(list)) {
		w.violation("I-10: %v volumes used, %d listed", got, len(list))
	}
}

// checkUsers compares what users were told with what there is (I-16 to I-20, I-22).
func (w *world) checkUsers(users []*user) {
	byName := map[string]int{}
	for _, k := range kinds {
		path := k.path
		if k == servers || k == volumes_ || k == snapshots {
			path += "/detail"
		}
		a, err := w.call(context.Background(), w.base.demo, "GET", path+"?limit=1000", nil)
		if err != nil || a.status != http.StatusOK {
			w.violation("list %s: %v %s", k.path, err, a)
		}
		for _, item := range a.list(k.many) {
			o := item.(map[string]any)
			name, _ := o["name"].(string)
			if !k.named {
				name, _ = o["description"].(string)
			}
			if k == servers && o["status"] == "ERROR" {
				w.count("servers in error", 1)
				w.t.Logf("server %s is in error: %v", o["id"], o["fault"])
				if o["fault"] == nil {
					w.violation("I-22: server %s is in error for no reason", o["id"])
				}
			}
			if status, _ := o["status"].(string); strings.HasPrefix(status, "error") {
				w.count("volumes in error", 1)
				w.t.Logf("%s %s is in error: %v", k.one, o["id"], rows(w, w.server().db, fmt.Sprintf("SELECT error FROM blockstorage_%s WHERE id = '%s'", k.many, o["id"])))
			}
			byName[k.many+" "+name]++
		}
	}
	for _, u := range users {
		for _, t := range u.things {
			switch n := byName[t.kind.many+" "+t.name]; {
			case n > 1:
				w.violation("I-19: %s %s is there %d times", t.kind.many, t.name, n)
			case n == 0 && t.gone == there:
				w.violation("I-18: %s %s (%s) was made and is not there", t.kind.many, t.name, t.id)
			case n == 1 && t.gone >= leaving:
				w.violation("I-16: %s %s (%s) was deleted and is there", t.kind.many, t.name, t.id)
			}
		}
	}
}

// empty deletes everything, and checks that nothing is left anywhere.
func (w *world) empty() {
	ctx := context.Background()
	for _, k := range kinds {
		w.each(k, func(id string) {
			path := k.path + "/" + id
			if k == servers {
				if a, err := w.call(ctx, w.base.demo, "POST", path+"/action", object{"unlock": nil}); err != nil {
					w.violation("unlock %s: %v %s", id, err, a)
				}
			}
			if a, err := w.call(ctx, w.base.demo, "DELETE", path, nil); err != nil || a.status >= 300 && a.status != http.StatusNotFound {
				w.violation("I-17: delete %s: %v %s", path, err, a)
			}
		})
		w.idle()
	}
	w.rest()
	w.check()
	for _, k := range kinds {
		w.each(k, func(id string) {
			if k != ports_ || len(rows(w, w.server().db, "SELECT id FROM network_ports WHERE id = '"+id+"' AND device_owner LIKE 'network:%'")) == 0 {
				w.violation("I-17: %s %s is left", k.many, id)
			}
		})
	}
	for _, s := range rows(w, w.server().db, "SELECT consumer FROM placement_allocations UNION SELECT id FROM blockstorage_attachments") {
		w.violation("I-06: %s is left", s)
	}
}

// each lists things of project demo; the image that all began with stays.
func (w *world) each(k *kind, f func(id string)) {
	a, err := w.call(context.Background(), w.base.demo, "GET", k.path+"?limit=1000", nil)
	if err != nil || a.status != http.StatusOK {
		w.violation("list %s: %v %s", k.path, err, a)
		return
	}
	for _, item := range a.list(k.many) {
		o := item.(map[string]any)
		owner, _ := o["device_owner"].(string)
		if id := o["id"].(string); id != w.base.imageID && !strings.HasPrefix(owner, "network:") {
			f(id)
		}
	}
}
