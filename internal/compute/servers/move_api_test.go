package servers

import (
	"fmt"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
)

func TestResizeByHTTP(t *testing.T) { dbtest.Each(t, onResize) }

func onResize(t *testing.T, d *db.DB) {
	f := frontOn(t, d)
	id := f.boot(plainBody)
	path := "/servers/" + id + "/action"
	shows := func(status, flavor string) {
		t.Helper()
		out := f.want(200, "admin", "2.47", "GET", "/servers/"+id, "")
		if at(out, "server.status") != status || at(out, "server.flavor.original_name") != flavor || at(out, "server.OS-EXT-STS:task_state") != nil {
			t.Errorf("%v %v %v, want %s %s", at(out, "server.status"), at(out, "server.flavor.original_name"), at(out, "server.OS-EXT-STS:task_state"), status, flavor)
		}
	}
	f.want(400, "member", "2.1", "POST", path, `{"resize":{"flavorRef":"small"}}`) // the one it has
	f.want(400, "member", "2.1", "POST", path, `{"resize":{"flavorRef":"none"}}`)
	f.want(400, "member", "2.1", "POST", path, `{"resize":{"flavorRef":null}}`)
	f.want(400, "member", "2.1", "POST", path, `{"resize":{}}`)
	f.want(409, "member", "2.1", "POST", path, `{"confirmResize":null}`)
	f.want(404, "other", "2.1", "POST", path, `{"resize":{"flavorRef":"big"}}`)
	f.want(403, "reader", "2.1", "POST", path, `{"resize":{"flavorRef":"big"}}`)
	f.want(202, "member", "2.1", "POST", path, `{"resize":{"flavorRef":"big","OS-DCF:diskConfig":"AUTO"}}`)
	f.want(409, "member", "2.1", "POST", path, `{"os-stop":null}`)
	f.idle()
	shows("VERIFY_RESIZE", "m1.big")
	f.want(202, "member", "2.1", "POST", path, `{"revertResize":null}`)
	f.idle()
	shows("ACTIVE", "m1.small")
	f.want(202, "member", "2.1", "POST", path, `{"resize":{"flavorRef":"big"}}`)
	f.idle()
	f.want(204, "member", "2.1", "POST", path, `{"confirmResize":null}`)
	f.idle()
	shows("ACTIVE", "m1.big")
	f.want(202, "member", "2.1", "POST", path, `{"resize":{"flavorRef":"small"}}`) // its disk would shrink
	f.idle()
	shows("ACTIVE", "m1.big")
	moves(t, f, id)
}

// moves looks at the lists of migrations after a revert, a confirm and a failure.
func moves(t *testing.T, f *front, id string) {
	f.want(403, "member", "2.1", "GET", "/os-migrations", "")
	old := f.want(200, "admin", "2.1", "GET", "/os-migrations", "")
	if n := len(old["migrations"].([]any)); n != 3 || at(old, "migrations.status") != "error" || at(old, "migrations.migration_type") != nil || at(old, "migrations.uuid") != nil {
		t.Errorf("at 2.1: %d, %v", n, old)
	}
	page := f.want(200, "admin", "2.80", "GET", "/os-migrations?limit=1&migration_type=resize", "")
	if at(page, "migrations.uuid") == nil || at(page, "migrations.project_id") != project || at(page, "migrations_links.rel") != "next" {
		t.Errorf("at 2.80: %v", page)
	}
	rest := f.want(200, "admin", "2.80", "GET", fmt.Sprintf("/os-migrations?limit=5&marker=%v", at(page, "migrations.uuid")), "")
	if n := len(rest["migrations"].([]any)); n != 2 || at(rest, "migrations.status") != "confirmed" {
		t.Errorf("the second page: %v", rest)
	}
	f.want(400, "admin", "2.59", "GET", "/os-migrations?dance=1", "")
	f.want(400, "admin", "2.66", "GET", "/os-migrations?changes-since=2026-01-02T00:00:00Z&changes-before=2026-01-01T00:00:00Z", "")
	f.want(404, "admin", "2.22", "GET", "/servers/"+id+"/migrations", "")
	if out := f.want(200, "admin", "2.23", "GET", "/servers/"+id+"/migrations", ""); len(out["migrations"].([]any)) != 0 {
		t.Errorf("no live migration is under way: %v", out)
	}
	f.want(404, "admin", "2.23", "GET", "/servers/"+id+"/migrations/1", "")
	f.want(404, "admin", "2.24", "DELETE", "/servers/"+id+"/migrations/77", "")
	f.want(400, "admin", "2.22", "POST", "/servers/"+id+"/migrations/77/action", `{"force_complete":null}`)
}

func TestMovesOnOneHost(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	path := "/servers/" + id + "/action"
	f.want(403, "member", "2.1", "POST", path, `{"migrate":null}`)
	f.want(400, "admin", "2.56", "POST", path, `{"migrate":{"host":"host-a"}}`)
	f.want(400, "admin", "2.56", "POST", path, `{"migrate":{"host":"nowhere"}}`)
	f.want(202, "admin", "2.1", "POST", path, `{"migrate":null}`) // found out later: there is no other host
	f.idle()
	f.want(400, "admin", "2.25", "POST", path, `{"os-migrateLive":{"host":null,"block_migration":"auto"}}`)
	f.want(400, "admin", "2.1", "POST", path, `{"os-migrateLive":{"host":null,"block_migration":false}}`)
	f.want(202, "admin", "2.34", "POST", path, `{"os-migrateLive":{"host":null,"block_migration":"auto"}}`)
	f.idle()
	f.want(400, "admin", "2.14", "POST", path, `{"evacuate":{}}`) // its host is up
	out := f.want(200, "admin", "2.1", "GET", "/servers/"+id, "")
	if at(out, "server.status") != "ACTIVE" {
		t.Errorf("%v", out)
	}
	list := f.want(200, "admin", "2.23", "GET", "/os-migrations?status=error", "")
	if n := len(list["migrations"].([]any)); n != 2 {
		t.Errorf("%d failed migrations: %v", n, list)
	}
}

func TestUsageAndEvents(t *testing.T) { dbtest.EachOne(t, onUsageAndEvents) }

func onUsageAndEvents(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	const period = "?start=2020-01-01T00:00:00&end=2099-01-01T00:00:00"
	f.want(403, "member", "2.1", "GET", "/os-simple-tenant-usage"+period, "")
	f.want(403, "other", "2.1", "GET", "/os-simple-tenant-usage/"+project+period, "")
	f.want(400, "admin", "2.1", "GET", "/os-simple-tenant-usage?start=2099-01-01T00:00:00&end=2020-01-01T00:00:00", "")
	f.want(400, "admin", "2.1", "GET", "/os-simple-tenant-usage?start=yesterday", "")
	out := f.want(200, "reader", "2.1", "GET", "/os-simple-tenant-usage/"+project+period, "")
	if at(out, "tenant_usage.server_usages.instance_id") != id || at(out, "tenant_usage.server_usages.state") != "active" || at(out, "tenant_usage.total_hours").(float64) < 0 {
		t.Errorf("%v", out)
	}
	events := func(status int, body string) map[string]any {
		t.Helper()
		return f.want(status, "admin", "2.51", "POST", "/os-server-external-events", body)
	}
	event := func(name, server string) string { return fmt.Sprintf(`{"name":%q,"server_uuid":%q}`, name, server) }
	events(400, `{"events":[]}`)
	events(400, `{"events":[`+event("dance", id)+`]}`)
	events(404, `{"events":[`+event("network-changed", netA)+`]}`)
	if out := events(200, `{"events":[`+event("network-changed", id)+`]}`); at(out, "events.status") != "completed" {
		t.Errorf("%v", out)
	}
	if out := events(207, `{"events":[`+event("volume-extended", id)+`,`+event("network-changed", id)+`]}`); at(out, "events.code") != 400.0 {
		t.Errorf("%v", out)
	}
	f.want(204, "member", "2.1", "DELETE", "/servers/"+id, "")
	f.idle()
	out = f.want(200, "admin", "2.40", "GET", "/os-simple-tenant-usage"+period+"&detailed=1&limit=1", "")
	if at(out, "tenant_usages.server_usages.state") != "terminated" || at(out, "tenant_usages_links.rel") != "next" {
		t.Errorf("after the delete: %v", out)
	}
	if out := f.want(200, "admin", "2.40", "GET", "/os-simple-tenant-usage"+period+"&marker="+id, ""); len(out["tenant_usages"].([]any)) != 0 {
		t.Errorf("behind the last: %v", out)
	}
}

func TestHostNamesByVersion(t *testing.T) {
	f := newFront(t)
	id := f.boot(plainBody)
	body := `{"server":{"hostname":"web.example.org"}}`
	f.want(400, "member", "2.93", "PUT", "/servers/"+id, body)
	out := f.want(200, "member", "2.94", "PUT", "/servers/"+id, body)
	if at(out, "server.OS-EXT-SRV-ATTR:hostname") != "web.example.org" {
		t.Errorf("%v", out)
	}
	f.want(400, "member", "2.94", "PUT", "/servers/"+id, `{"server":{"hostname":"web..org"}}`)
	if out := f.want(200, "member", "2.96", "GET", "/servers/"+id, "")["server"].(map[string]any); out["pinned_availability_zone"] != nil {
		t.Errorf("%v", out)
	}
	if _, shown := f.want(200, "member", "2.95", "GET", "/servers/"+id, "")["server"].(map[string]any)["pinned_availability_zone"]; shown {
		t.Error("the pinned zone is shown at 2.95")
	}
}
