package volumeapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/testcloud"
)

type m = map[string]any

const latest = "volume 3.71"

// world is a cloud with two hosts and a client that speaks a version.
type world struct {
	*testcloud.Cloud
	t *testing.T
}

func newWorld(t *testing.T) *world {
	t.Parallel()
	return &world{testcloud.New(t, testcloud.Hosts(2)), t}
}

func (w *world) do(c *testcloud.Client, method, path string, body any, status int) *testcloud.Answer {
	w.t.Helper()
	return c.Do(method, "/volume/v3/"+path, body, "OpenStack-API-Version", latest).Expect(status)
}

// volume makes a volume of the demo project and waits until it is made.
func (w *world) volume(body m) string {
	w.t.Helper()
	if body["size"] == nil {
		body["size"] = 1
	}
	a := w.do(w.Demo, "POST", "volumes", m{"volume": body}, http.StatusAccepted)
	if s := a.String("volume.status"); s != "creating" {
		w.t.Errorf("a new volume is %s", s)
	}
	return a.String("volume.id")
}

// reaches polls until a path shows a value.
func (w *world) reaches(path, field, want string) *testcloud.Answer {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		a := w.Demo.Do("GET", "/volume/v3/"+path, nil, "OpenStack-API-Version", latest)
		got := fmt.Sprint(a.Value(field))
		if a.Status == 200 && got == want {
			return a
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s %s is %s (%d), want %s: %s", path, field, got, a.Status, want, a.Body)
		}
	}
}

// gone polls until a path is not found.
func (w *world) gone(path string) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		a := w.Demo.Do("GET", "/volume/v3/"+path, nil)
		if a.Status == http.StatusNotFound {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s is still there: %d %s", path, a.Status, a.Body)
		}
	}
}

func TestVolumesFromCreationToDeletion(t *testing.T) {
	w := newWorld(t)
	v := w.volume(m{"name": "one", "metadata": m{"a": "b"}})
	a := w.reaches("volumes/"+v, "volume.status", "available")
	for path, want := range map[string]any{"volume.name": "one", "volume.description": nil, "volume.size": 1.0, "volume.bootable": "false", "volume.encrypted": false,
		"volume.metadata.a": "b", "volume.volume_type": "__DEFAULT__", "volume.availability_zone": "nova", "volume.snapshot_id": nil, "volume.multiattach": false,
		"volume.shared_targets": false, "volume.consumes_quota": true, "volume.os-vol-tenant-attr:tenant_id": w.Demo.ProjectID, "volume.attachments": []any(nil)} {
		got := a.Value(path)
		if l, ok := got.([]any); ok && len(l) == 0 {
			got = []any(nil)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	if s := a.String("volume.created_at"); len(s) != len("2026-01-02T03:04:05.000000") || strings.HasSuffix(s, "Z") {
		t.Errorf("created_at %q: microseconds, no zone", s)
	}
	if a.Value("volume.os-vol-host-attr:host") != nil {
		t.Error("a member sees the host")
	}
	if w.do(w.Admin, "GET", "volumes/"+v, nil, 200).String("volume.os-vol-host-attr:host") == "" {
		t.Error("an admin does not see the host")
	}
	old := w.Demo.Get("/volume/v3/" + w.Demo.ProjectID + "/volumes/" + v).Expect(200) // 3.0, with the project in the path
	for _, newer := range []string{"shared_targets", "group_id", "consumes_quota", "volume_type_id"} {
		if strings.Contains(string(old.Body), `"`+newer+`"`) {
			t.Errorf("version 3.0 shows %s", newer)
		}
	}
	w.do(w.Demo, "PUT", "volumes/"+v, m{"volume": m{"name": "two", "description": "d"}}, 200)
	w.do(w.Demo, "POST", "volumes/"+v+"/metadata", m{"metadata": m{"c": "d"}}, 200)
	w.do(w.Demo, "DELETE", "volumes/"+v+"/metadata/a", nil, 200)
	w.do(w.Demo, "DELETE", "volumes/"+v+"/metadata/a", nil, 404)
	w.do(w.Demo, "POST", "volumes/"+v+"/action", m{"os-set_bootable": m{"bootable": true}}, 200)
	w.do(w.Demo, "POST", "volumes/"+v+"/action", m{"os-update_readonly_flag": m{"readonly": true}}, 202)
	a = w.do(w.Demo, "GET", "volumes/"+v, nil, 200)
	if a.String("volume.bootable") != "true" || a.String("volume.metadata.readonly") != "True" || a.String("volume.metadata.c") != "d" || a.String("volume.name") != "two" {
		t.Errorf("changes: %s", a.Body)
	}
	w.do(w.Demo, "POST", "volumes/"+v+"/action", m{"os-extend": m{"new_size": 1}}, 400)
	w.do(w.Demo, "POST", "volumes/"+v+"/action", m{"os-extend": m{"new_size": 3}}, 202)
	w.reaches("volumes/"+v, "volume.status", "available")
	w.reaches("volumes/"+v, "volume.size", "3")
	w.do(w.Demo, "DELETE", "volumes/"+v, nil, 202)
	w.gone("volumes/" + v)
	w.RunTasks()
	a = w.do(w.Admin, "GET", "os-quota-sets/"+w.Demo.ProjectID+"?usage=True", nil, 200)
	if a.Value("quota_set.gigabytes.in_use") != 0.0 || a.Value("quota_set.volumes.limit") != 10.0 {
		t.Errorf("usage after the deletion: %s", a.Body)
	}
}

func TestListsAreFilteredSortedAndPaged(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for i := range 4 {
		ids = append(ids, w.volume(m{"name": fmt.Sprint("v", i), "metadata": m{"n": fmt.Sprint(i % 2)}}))
	}
	other := w.do(w.Admin, "POST", "volumes", m{"volume": m{"size": 1, "name": "admins"}}, 202).String("volume.id")
	for _, v := range ids {
		w.reaches("volumes/"+v, "volume.status", "available")
	}
	count := func(c *testcloud.Client, query string) int {
		t.Helper()
		return len(w.do(c, "GET", "volumes/detail"+query, nil, 200).List("volumes"))
	}
	for query, want := range map[string]int{"": 4, "?name=v1": 1, "?name~=v": 4, "?metadata=%7B%27n%27%3A+%270%27%7D": 2, "?status=available": 4, "?bootable=true": 0,
		"?limit=3": 3, "?all_tenants=1": 4, "?limit=2&marker=" + ids[1]: 1, "?limit=3&offset=2": 2, "?offset=4": 0} {
		if got := count(w.Demo, query); got != want {
			t.Errorf("%s lists %d, want %d", query, got, want)
		}
	}
	if n := count(w.Admin, "?all_tenants=1"); n != 5 {
		t.Errorf("an admin sees %d of 5 volumes", n)
	}
	a := w.do(w.Demo, "GET", "volumes?limit=1&sort=name:asc&with_count=True", nil, 200)
	if a.String("volumes.0.name") != "v0" || a.Value("count") != 4.0 || a.String("volumes_links.0.rel") != "next" {
		t.Errorf("a page of one: %s", a.Body)
	}
	w.do(w.Demo, "GET", "volumes/"+other, nil, 404)
	w.do(w.Demo, "DELETE", "volumes/"+other, nil, 404)
	w.do(w.Demo, "GET", "volumes/"+id.New(), nil, 404)
	w.do(w.Demo, "GET", "volumes?marker="+other, nil, 404)
	if got := w.do(w.Demo, "GET", "volumes/summary", nil, 200); got.Value("volume-summary.total_count") != 4.0 || got.Value("volume-summary.total_size") != 4.0 {
		t.Errorf("summary: %s", got.Body)
	}
}

func TestSnapshotsAndClones(t *testing.T) {
	w := newWorld(t)
	v := w.volume(m{"name": "origin"})
	w.reaches("volumes/"+v, "volume.status", "available")
	a := w.do(w.Demo, "POST", "snapshots", m{"snapshot": m{"volume_id": v, "name": "s", "metadata": m{"k": "v"}}}, 202)
	s := a.String("snapshot.id")
	a = w.reaches("snapshots/"+s, "snapshot.status", "available")
	if a.String("snapshot.os-extended-snapshot-attributes:progress") != "100%" || a.Value("snapshot.size") != 1.0 || a.String("snapshot.user_id") != w.Demo.UserID {
		t.Errorf("snapshot: %s", a.Body)
	}
	if got := w.do(w.Demo, "DELETE", "volumes/"+v, nil, 400); !strings.Contains(string(got.Body), "snapshots") {
		t.Errorf("a volume with snapshots: %s", got.Body)
	}
	w.do(w.Demo, "POST", "volumes", m{"volume": m{"snapshot_id": s, "source_volid": v}}, 400)
	larger := w.volume(m{"snapshot_id": s, "size": 2})
	clone := w.do(w.Demo, "POST", "volumes", m{"volume": m{"source_volid": v}}, 202).String("volume.id")
	w.reaches("volumes/"+larger, "volume.status", "available")
	if a := w.reaches("volumes/"+clone, "volume.status", "available"); a.String("volume.source_volid") != v || a.Value("volume.size") != 1.0 {
		t.Errorf("clone: %s", a.Body)
	}
	w.do(w.Demo, "PUT", "snapshots/"+s, m{"snapshot": m{"name": "renamed"}}, 200)
	w.do(w.Demo, "POST", "snapshots/"+s+"/action", m{"os-reset_status": m{"status": "error"}}, 403)
	if n := len(w.do(w.Demo, "GET", "snapshots/detail?volume_id="+v+"&name=renamed", nil, 200).List("snapshots")); n != 1 {
		t.Errorf("%d snapshots of the volume", n)
	}
	w.do(w.Demo, "DELETE", "snapshots/"+s, nil, 202)
	w.gone("snapshots/" + s)
	s = w.do(w.Demo, "POST", "snapshots", m{"snapshot": m{"volume_id": v}}, 202).String("snapshot.id")
	w.reaches("snapshots/"+s, "snapshot.status", "available")
	w.do(w.Demo, "DELETE", "volumes/"+v+"?cascade=true", nil, 202)
	w.gone("volumes/" + v)
	w.gone("snapshots/" + s)
}

func TestQuotasAreCountedAndSaidAsUpstream(t *testing.T) {
	w := newWorld(t)
	w.do(w.Demo, "PUT", "os-quota-sets/"+w.Demo.ProjectID, m{"quota_set": m{"volumes": 2}}, 403)
	a := w.do(w.Admin, "PUT", "os-quota-sets/"+w.Demo.ProjectID, m{"quota_set": m{"volumes": 2, "gigabytes": "5", "per_volume_gigabytes": 4}}, 200)
	if a.Value("quota_set.gigabytes") != 5.0 || a.Value("quota_set.volumes___DEFAULT__") != -1.0 {
		t.Errorf("after the change: %s", a.Body)
	}
	w.do(w.Admin, "PUT", "os-quota-sets/"+w.Demo.ProjectID, m{"quota_set": m{"nonsense": 2}}, 400)
	over := func(body m, word string) {
		t.Helper()
		a := w.do(w.Demo, "POST", "volumes", m{"volume": body}, 413)
		if !strings.Contains(a.String("overLimit.message"), word) || a.Value("overLimit.code") != 413.0 {
			t.Errorf("over quota: %s", a.Body)
		}
	}
	over(m{"size": 5}, "larger than maximum allowed")
	w.volume(m{"size": 2})
	over(m{"size": 4}, "exceeds allowed gigabytes quota")
	w.volume(m{"size": 1})
	over(m{"size": 1}, "Maximum number of volumes allowed")
	a = w.do(w.Demo, "GET", "limits", nil, 200)
	if a.Value("limits.absolute.totalGigabytesUsed") != 3.0 || a.Value("limits.absolute.maxTotalVolumes") != 2.0 {
		t.Errorf("limits: %s", a.Body)
	}
	w.do(w.Admin, "DELETE", "os-quota-sets/"+w.Demo.ProjectID, nil, 200)
	if a := w.do(w.Demo, "GET", "os-quota-sets/"+w.Demo.ProjectID, nil, 200); a.Value("quota_set.volumes") != 10.0 || a.String("quota_set.id") != w.Demo.ProjectID {
		t.Errorf("defaults again: %s", a.Body)
	}
	w.do(w.Admin, "GET", "os-quota-class-sets/default", nil, 200)
}

func TestTypesAndTheirSpecs(t *testing.T) {
	w := newWorld(t)
	w.do(w.Demo, "POST", "types", m{"volume_type": m{"name": "x"}}, 403)
	ty := w.do(w.Admin, "POST", "types", m{"volume_type": m{"name": "fast", "description": "d", "extra_specs": m{"custom:k": "v"}, "os-volume-type-access:is_public": false}}, 200).String("volume_type.id")
	w.do(w.Admin, "POST", "types", m{"volume_type": m{"name": "fast"}}, 409)
	w.do(w.Demo, "GET", "types/"+ty, nil, 404)
	w.do(w.Admin, "POST", "types/"+ty+"/action", m{"addProjectAccess": m{"project": w.Demo.ProjectID}}, 202)
	w.do(w.Admin, "POST", "types/"+ty+"/action", m{"addProjectAccess": m{"project": w.Demo.ProjectID}}, 409)
	if a := w.do(w.Demo, "GET", "types/"+ty, nil, 200); a.Value("volume_type.extra_specs.custom:k") != nil || a.Value("volume_type.is_public") != false {
		t.Errorf("a member sees %s", a.Body)
	}
	w.do(w.Admin, "POST", "types/"+ty+"/extra_specs", m{"extra_specs": m{"custom:a": "b"}}, 200)
	w.do(w.Admin, "PUT", "types/"+ty+"/extra_specs/custom:a", m{"custom:a": "c"}, 200)
	if a := w.do(w.Admin, "GET", "types/"+ty+"/extra_specs/custom:a", nil, 200); a.String("custom:a") != "c" {
		t.Errorf("spec: %s", a.Body)
	}
	w.do(w.Admin, "DELETE", "types/"+ty+"/extra_specs/custom:a", nil, 202)
	if a := w.do(w.Demo, "GET", "types/default", nil, 200); a.String("volume_type.name") != "__DEFAULT__" {
		t.Errorf("default: %s", a.Body)
	}
	w.do(w.Admin, "PUT", "default-types/"+w.Demo.ProjectID, m{"default_type": m{"volume_type": "fast"}}, 200)
	v := w.volume(m{})
	if a := w.reaches("volumes/"+v, "volume.status", "available"); a.String("volume.volume_type") != "fast" || a.String("volume.volume_type_id") != ty {
		t.Errorf("the default of the project: %s", a.Body)
	}
	w.do(w.Admin, "DELETE", "types/"+ty, nil, 400)
	w.do(w.Admin, "DELETE", "default-types/"+w.Demo.ProjectID, nil, 204)
	w.do(w.Demo, "DELETE", "volumes/"+v, nil, 202)
	w.gone("volumes/" + v)
	w.do(w.Admin, "DELETE", "types/"+ty, nil, 202)
	w.do(w.Admin, "GET", "types/"+ty, nil, 404)
	w.do(w.Demo, "POST", "volumes", m{"volume": m{"size": 1, "volume_type": "nosuch"}}, 404)
}

func TestWhatNoHostOffersFailsAndSaysSo(t *testing.T) {
	w := newWorld(t)
	w.do(w.Admin, "POST", "types", m{"volume_type": m{"name": "odd", "extra_specs": m{"vendor_name": "Nobody"}}}, 200)
	v := w.volume(m{"volume_type": "odd"})
	w.reaches("volumes/"+v, "volume.status", "error")
	a := w.do(w.Demo, "GET", "messages?resource_uuid="+v, nil, 200)
	if len(a.List("messages")) != 1 || !strings.Contains(a.String("messages.0.user_message"), "No valid backend") {
		t.Errorf("messages: %s", a.Body)
	}
	msg := a.String("messages.0.id")
	if n := len(w.do(w.Admin, "GET", "messages", nil, 200).List("messages")); n != 0 {
		t.Errorf("another project sees %d messages", n)
	}
	w.do(w.Demo, "DELETE", "messages/"+msg, nil, 204)
	w.do(w.Demo, "GET", "messages/"+msg, nil, 404)
	w.do(w.Demo, "DELETE", "volumes/"+v, nil, 202)
	w.gone("volumes/" + v)
}

func TestAttachmentsAndLegacyActions(t *testing.T) {
	w := newWorld(t)
	v, server := w.volume(m{}), id.New()
	w.reaches("volumes/"+v, "volume.status", "available")
	a := w.do(w.Demo, "POST", "attachments", m{"attachment": m{"volume_uuid": v, "instance_uuid": server}}, 200)
	at := a.String("attachment.id")
	if a.String("attachment.status") != "reserved" || a.String("attachment.attach_mode") != "null" || a.String("attachment.attached_at") != "" {
		t.Errorf("attachment: %s", a.Body)
	}
	w.reaches("volumes/"+v, "volume.status", "reserved")
	w.do(w.Demo, "POST", "attachments", m{"attachment": m{"volume_uuid": v, "instance_uuid": server}}, 400)
	w.do(w.Demo, "DELETE", "volumes/"+v, nil, 400)
	w.do(w.Demo, "POST", "attachments/"+at+"/action", m{"os-complete": m{}}, 204)
	a = w.reaches("volumes/"+v, "volume.status", "in-use")
	if a.String("volume.attachments.0.server_id") != server || a.String("volume.attachments.0.attachment_id") != at || a.Value("volume.attachments.0.host_name") != nil {
		t.Errorf("attached: %s", a.Body)
	}
	if n := len(w.do(w.Demo, "GET", "attachments/detail?volume_id="+v, nil, 200).List("attachments")); n != 1 {
		t.Errorf("%d attachments", n)
	}
	w.do(w.Demo, "POST", "snapshots", m{"snapshot": m{"volume_id": v, "force": false}}, 400)
	w.Demo.Do("POST", "/volume/v3/snapshots", m{"snapshot": m{"volume_id": v}}).Expect(400) // 3.0: only by force
	w.do(w.Demo, "DELETE", "attachments/"+at, nil, 200)
	w.reaches("volumes/"+v, "volume.status", "available")
	act := func(name string, body any, status int) {
		t.Helper()
		w.do(w.Demo, "POST", "volumes/"+v+"/action", m{name: body}, status)
	}
	act("os-reserve", nil, 202)
	w.reaches("volumes/"+v, "volume.status", "attaching")
	act("os-unreserve", m{}, 202)
	act("os-attach", m{"instance_uuid": server, "mountpoint": "/dev/vdc", "mode": "rw"}, 202)
	if a := w.reaches("volumes/"+v, "volume.status", "in-use"); a.String("volume.attachments.0.device") != "/dev/vdc" {
		t.Errorf("attached by action: %s", a.Body)
	}
	act("os-begin_detaching", m{}, 202)
	w.reaches("volumes/"+v, "volume.status", "detaching")
	act("os-roll_detaching", m{}, 202)
	act("os-detach", m{}, 202)
	w.reaches("volumes/"+v, "volume.status", "available")
	act("os-attach", m{"instance_uuid": server, "mountpoint": "/dev/vdc"}, 202)
	w.do(w.Admin, "POST", "volumes/"+v+"/action", m{"os-reset_status": m{"status": "error"}}, 202)
	act("os-force_detach", m{}, 403)
	w.do(w.Admin, "POST", "volumes/"+v+"/action", m{"os-force_detach": m{"connector": nil}}, 202)
	w.reaches("volumes/"+v, "volume.status", "available")
	fast := w.do(w.Admin, "POST", "types", m{"volume_type": m{"name": "fast"}}, 200).String("volume_type.id")
	act("os-retype", m{"new_type": "nosuch"}, 400)
	act("os-retype", m{"new_type": "fast", "migration_policy": "never"}, 202)
	w.reaches("volumes/"+v, "volume.volume_type_id", fast)
	act("os-reset_status", m{"status": "error"}, 403)
	w.do(w.Admin, "POST", "volumes/"+v+"/action", m{"os-reset_status": m{"status": "error"}}, 202)
	w.reaches("volumes/"+v, "volume.status", "error")
	w.do(w.Admin, "POST", "volumes/"+v+"/action", m{"os-force_delete": m{}}, 202)
	w.gone("volumes/" + v)
}

func TestWhatIsSaidOfTheService(t *testing.T) {
	w := newWorld(t)
	a := w.Anonymous().Get("/volume/").Expect(300)
	if a.String("versions.0.version") != "3.71" || a.String("versions.0.min_version") != "3.0" || a.String("versions.0.status") != "CURRENT" {
		t.Errorf("versions: %s", a.Body)
	}
	w.Anonymous().Get("/volume/v3/").Expect(200)
	w.Anonymous().Get("/volume/v3/volumes").Expect(401)
	w.Demo.Get("/volume/v3/volumes", "OpenStack-API-Version", "volume 3.99").Expect(406)
	w.Demo.Get("/volume/v3/attachments").Expect(404) // from 3.27
	if got := w.do(w.Admin, "GET", "os-services?binary=cinder-volume", nil, 200); len(got.List("services")) != 2 || got.String("services.0.state") != "up" {
		t.Errorf("services: %s", got.Body)
	}
	if got := w.do(w.Admin, "GET", "scheduler-stats/get_pools?detail=True", nil, 200); got.Value("pools.0.capabilities.total_capacity_gb") != 4096.0 {
		t.Errorf("pools: %s", got.Body)
	}
	for _, host := range []string{"sim-1", "sim-2@mek"} {
		w.do(w.Admin, "PUT", "os-services/disable-log-reason", m{"host": host, "binary": "cinder-volume"}, 400)
		w.do(w.Admin, "PUT", "os-services/disable-log-reason", m{"host": host, "binary": "cinder-volume", "disabled_reason": "repair"}, 200)
	}
	w.do(w.Admin, "PUT", "os-services/enable", m{"host": "mars", "binary": "cinder-volume"}, 404)
	if got := w.do(w.Admin, "GET", "os-services?host=sim-1", nil, 200); got.String("services.0.status") != "disabled" || got.String("services.0.disabled_reason") != "repair" {
		t.Errorf("a closed host: %s", got.Body)
	}
	nowhere := w.volume(m{})
	w.reaches("volumes/"+nowhere, "volume.status", "error")
	w.do(w.Admin, "PUT", "os-services/enable", m{"host": "sim-2", "binary": "cinder-volume"}, 200)
	w.reaches("volumes/"+w.volume(m{}), "volume.status", "available")
	if got := w.do(w.Admin, "GET", "os-hosts", nil, 200); got.String("hosts.0.service") != "cinder-scheduler" || got.String("hosts.2.host_name") != "sim-1@mek" {
		t.Errorf("hosts: %s", got.Body)
	}
	if got := w.do(w.Admin, "GET", "os-hosts/sim-1@mek", nil, 200); got.String("host.0.resource.volume_count") != "0" {
		t.Errorf("host: %s", got.Body)
	}
	if got := w.do(w.Demo, "GET", "os-availability-zone", nil, 200); got.String("availabilityZoneInfo.0.zoneName") != "nova" {
		t.Errorf("zones: %s", got.Body)
	}
	w.do(w.Demo, "GET", "os-services", nil, 403)
	w.do(w.Demo, "GET", "extensions", nil, 200)
	w.do(w.Demo, "GET", "resource_filters", nil, 200)
	if got := w.do(w.Demo, "POST", "volumes", m{"volume": m{"size": 1, "OS-SCH-HNT:scheduler_hints": m{"local_to_instance": id.New()}}}, 501); got.Value("notImplemented.code") != 501.0 {
		t.Errorf("what is not built: %s", got.Body)
	}
	w.do(w.Demo, "GET", "volumes/"+id.New()+"/nothing", nil, 404)
	for body, status := range map[string]int{`{"volume": {"size": 0}}`: 400, `{"volume": {"size": "x"}}`: 400, `{"volume": {}}`: 400, `{}`: 400, `nonsense`: 400,
		`{"volume": {"size": 1, "imageRef": "nonsense"}}`: 400, `{"volume": {"size": 1, "snapshot_id": "` + id.New() + `"}}`: 404,
		`{"volume": {"size": 1, "multiattach": "perhaps"}}`: 400, `{"volume": {"size": 1, "availability_zone": "mars"}}`: 400} {
		w.do(w.Demo, "POST", "volumes", body, status)
	}
}

// TestVolumesToShare: from a type, from a source or because somebody asks.
func TestVolumesToShare(t *testing.T) {
	w := newWorld(t)
	asked := w.do(w.Demo, "POST", "volumes", m{"volume": m{"size": 1, "multiattach": true}}, 202)
	if asked.Value("volume.multiattach") != true {
		t.Errorf("asked for: %s", asked.Body)
	}
	id := asked.String("volume.id")
	w.reaches("volumes/"+id, "volume.status", "available")
	for body, want := range map[string]bool{`{"volume": {"source_volid": "` + id + `"}}`: true, `{"volume": {"size": 1, "multiattach": false}}`: false} {
		if got := w.do(w.Demo, "POST", "volumes", body, 202); got.Value("volume.multiattach") != want {
			t.Errorf("%s: %s", body, got.Body)
		}
	}
	if got := w.do(w.Admin, "GET", "scheduler-stats/get_pools?detail=true", nil, 200); got.Value("pools.0.capabilities.multiattach") != true {
		t.Errorf("what hosts can do: %s", got.Body)
	}
}

func TestVolumesAreGivenAway(t *testing.T) {
	w := newWorld(t)
	v := w.volume(m{})
	w.reaches("volumes/"+v, "volume.status", "available")
	s := w.do(w.Demo, "POST", "snapshots", m{"snapshot": m{"volume_id": v}}, 202).String("snapshot.id")
	w.reaches("snapshots/"+s, "snapshot.status", "available")
	offer := func() (string, string) {
		a := w.do(w.Demo, "POST", "volume-transfers", m{"transfer": m{"volume_id": v, "name": "gift"}}, 202)
		return a.String("transfer.id"), a.String("transfer.auth_key")
	}
	tr, _ := offer()
	w.reaches("volumes/"+v, "volume.status", "awaiting-transfer")
	w.do(w.Demo, "DELETE", "volumes/"+v, nil, 400)
	w.do(w.Demo, "DELETE", "os-volume-transfer/"+tr, nil, 202)
	w.reaches("volumes/"+v, "volume.status", "available")
	tr, key := offer()
	if a := w.do(w.Demo, "GET", "volume-transfers/detail", nil, 200); len(a.List("transfers")) != 1 || strings.Contains(string(a.Body), key) {
		t.Errorf("offers: %s", a.Body)
	}
	w.do(w.Admin, "POST", "volume-transfers/"+tr+"/accept", m{"accept": m{"auth_key": "wrong"}}, 400)
	w.do(w.Admin, "POST", "volume-transfers/"+tr+"/accept", m{"accept": m{"auth_key": key}}, 202)
	w.do(w.Demo, "GET", "volumes/"+v, nil, 404)
	w.do(w.Demo, "GET", "snapshots/"+s, nil, 404)
	if a := w.do(w.Admin, "GET", "volumes/"+v, nil, 200); a.String("volume.os-vol-tenant-attr:tenant_id") != w.Admin.ProjectID || a.String("volume.status") != "available" {
		t.Errorf("accepted: %s", a.Body)
	}
	w.do(w.Admin, "GET", "volume-transfers/"+tr, nil, 404)
}
