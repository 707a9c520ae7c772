package volumeapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/testcloud"
)

func TestQosAndEncryptionOfTypes(t *testing.T) { dbtest.EachOne(t, onQosAndEncryptionOfTypes) }

func onQosAndEncryptionOfTypes(t *testing.T) {
	w := newWorld(t)
	w.do(w.Demo, "GET", "qos-specs", nil, 403)
	a := w.do(w.Admin, "POST", "qos-specs", m{"qos_specs": m{"name": "fast", "consumer": "back-end", "total_iops_sec": 100}}, 200)
	q := a.String("qos_specs.id")
	if a.String("qos_specs.specs.total_iops_sec") != "100" || a.String("qos_specs.consumer") != "back-end" {
		t.Errorf("specs: %s", a.Body)
	}
	w.do(w.Admin, "POST", "qos-specs", m{"qos_specs": m{"name": "fast"}}, 409)
	if n := len(w.do(w.Admin, "GET", "qos-specs?offset=1", nil, 200).List("qos_specs")); n != 0 {
		t.Errorf("%d specs after the first of one", n)
	}
	w.do(w.Admin, "POST", "qos-specs", m{"qos_specs": m{"name": "odd", "consumer": "nobody"}}, 400)
	w.do(w.Admin, "PUT", "qos-specs/"+q, m{"qos_specs": m{"a": "b"}}, 200)
	w.do(w.Admin, "PUT", "qos-specs/"+q+"/delete_keys", m{"keys": []string{"a"}}, 202)
	w.do(w.Admin, "PUT", "qos-specs/"+q+"/delete_keys", m{"keys": []string{"a"}}, 404)
	vt := w.do(w.Admin, "POST", "types", m{"volume_type": m{"name": "vt"}}, 200).String("volume_type.id")
	w.do(w.Admin, "GET", "qos-specs/"+q+"/associate", nil, 400)
	w.do(w.Admin, "GET", "qos-specs/"+q+"/associate?vol_type_id="+vt, nil, 202)
	if got := w.do(w.Admin, "GET", "qos-specs/"+q+"/associations", nil, 200); got.String("qos_associations.0.name") != "vt" {
		t.Errorf("associations: %s", got.Body)
	}
	w.do(w.Admin, "DELETE", "qos-specs/"+q, nil, 400)
	w.do(w.Demo, "POST", "volumes", m{"volume": m{"size": 1, "volume_type": "vt"}}, 501) // limits that nobody enforces
	w.do(w.Admin, "GET", "qos-specs/"+q+"/disassociate_all", nil, 202)
	w.do(w.Admin, "DELETE", "qos-specs/"+q, nil, 202)
	w.do(w.Admin, "GET", "qos-specs/"+q, nil, 404)

	w.do(w.Admin, "POST", "types/"+vt+"/encryption", m{"encryption": m{"cipher": "aes"}}, 400)
	made := w.do(w.Admin, "POST", "types/"+vt+"/encryption", m{"encryption": m{"provider": "luks", "control_location": "front-end", "key_size": "256"}}, 200)
	if got := w.do(w.Admin, "GET", "types/"+vt+"/encryption", nil, 200); got.String("provider") != "luks" || got.Value("key_size") != 256.0 {
		t.Errorf("encryption: %s", got.Body)
	}
	if got := w.do(w.Demo, "POST", "volumes", m{"volume": m{"size": 1, "volume_type": "vt"}}, 501); !strings.Contains(string(got.Body), "must be encrypted") {
		t.Errorf("a volume that cannot be encrypted: %s", got.Body)
	}
	w.do(w.Admin, "PUT", "types/"+vt+"/encryption/provider", m{"encryption": m{"cipher": "aes-xts-plain64"}}, 200)
	w.do(w.Admin, "DELETE", "types/"+vt+"/encryption/"+made.String("encryption.encryption_id"), nil, 202)
	w.do(w.Admin, "DELETE", "types/"+vt+"/encryption/"+made.String("encryption.encryption_id"), nil, 404)
	v := w.volume(m{"volume_type": "vt"})
	w.do(w.Admin, "POST", "types/"+vt+"/encryption", m{"encryption": m{"provider": "luks", "control_location": "front-end"}}, 400)
	if got := w.do(w.Demo, "GET", "volumes/"+v+"/encryption", nil, 200); got.Value("encryption_key_id") != nil {
		t.Errorf("encryption of a volume: %s", got.Body)
	}
}

func TestLimitsOfTypesAndClasses(t *testing.T) { dbtest.EachOne(t, onLimitsOfTypesAndClasses) }

func onLimitsOfTypesAndClasses(t *testing.T) {
	w := newWorld(t)
	w.do(w.Admin, "POST", "types", m{"volume_type": m{"name": "gold"}}, 200)
	w.do(w.Admin, "PUT", "os-quota-sets/"+w.Demo.ProjectID, m{"quota_set": m{"volumes_gold": 1, "gigabytes_lead": 1}}, 400)
	w.do(w.Admin, "PUT", "os-quota-sets/"+w.Demo.ProjectID, m{"quota_set": m{"volumes_gold": 1}}, 200)
	w.volume(m{"volume_type": "gold"})
	w.do(w.Demo, "POST", "volumes", m{"volume": m{"size": 1, "volume_type": "gold"}}, http.StatusRequestEntityTooLarge)
	w.volume(m{})
	if got := w.do(w.Admin, "GET", "os-quota-sets/"+w.Demo.ProjectID+"?usage=True", nil, 200); got.Value("quota_set.volumes_gold.in_use") != 1.0 || got.Value("quota_set.volumes.in_use") != 2.0 {
		t.Errorf("usage: %s", got.Body)
	}
	w.do(w.Admin, "PUT", "os-quota-class-sets/own", m{"quota_class_set": m{"volumes": 3}}, 200)
	if got := w.do(w.Admin, "GET", "os-quota-class-sets/own", nil, 200); got.Value("quota_class_set.volumes") != 3.0 {
		t.Errorf("class: %s", got.Body)
	}
	if got := w.do(w.Admin, "GET", "os-quota-class-sets/default", nil, 200); got.Value("quota_class_set.volumes") != 10.0 {
		t.Errorf("default class: %s", got.Body)
	}
}

func TestLimitsFollowARenamedType(t *testing.T) { dbtest.EachOne(t, onLimitsFollowARenamedType) }

func onLimitsFollowARenamedType(t *testing.T) {
	w := newWorld(t)
	ty := w.do(w.Admin, "POST", "types", m{"volume_type": m{"name": "gold"}}, 200).String("volume_type.id")
	left := w.do(w.Admin, "POST", "types", m{"volume_type": m{"name": "silver"}}, 200).String("volume_type.id")
	sets, class, own := "os-quota-sets/"+w.Demo.ProjectID, "os-quota-class-sets/default", "os-quota-class-sets/own"
	w.do(w.Admin, "PUT", sets, m{"quota_set": m{"volumes_gold": 1, "gigabytes_gold": 7, "snapshots_gold": 3, "volumes_silver": 9}}, 200)
	w.do(w.Admin, "PUT", class, m{"quota_class_set": m{"snapshots_gold": 5, "gigabytes_silver": 6}}, 200)
	w.do(w.Admin, "PUT", own, m{"quota_class_set": m{"volumes_gold": 8}}, 200)
	w.volume(m{"volume_type": "gold"})
	w.do(w.Admin, "PUT", "types/"+ty, m{"volume_type": m{"name": "silver"}}, 409)
	w.do(w.Admin, "PUT", "types/"+ty, m{"volume_type": m{"description": "the same name"}}, 200)
	if a := w.do(w.Admin, "GET", sets, nil, 200); a.Value("quota_set.volumes_gold") != 1.0 || a.Value("quota_set.volumes_silver") != 9.0 {
		t.Errorf("limits after a refused name: %s", a.Body)
	}
	w.do(w.Admin, "DELETE", "types/"+left, nil, 202) // its limits are in the way of the name
	w.do(w.Admin, "PUT", "types/"+ty, m{"volume_type": m{"name": "silver"}}, 200)
	a := w.do(w.Admin, "GET", sets, nil, 200)
	for name, want := range map[string]any{"volumes_silver": 1.0, "gigabytes_silver": 7.0, "snapshots_silver": 3.0, "volumes_gold": nil, "volumes": 10.0} {
		if got := a.Value("quota_set." + name); got != want {
			t.Errorf("limit %s is %v, want %v", name, got, want)
		}
	}
	a = w.do(w.Admin, "GET", class, nil, 200)
	if a.Value("quota_class_set.snapshots_silver") != 5.0 || a.Value("quota_class_set.gigabytes_silver") != -1.0 || a.Value("quota_class_set.snapshots_gold") != nil {
		t.Errorf("default class: %s", a.Body)
	}
	if a = w.do(w.Admin, "GET", own, nil, 200); a.Value("quota_class_set.volumes_silver") != 8.0 {
		t.Errorf("class: %s", a.Body)
	}
	w.do(w.Demo, "POST", "volumes", m{"volume": m{"size": 1, "volume_type": "silver"}}, http.StatusRequestEntityTooLarge)
	w.do(w.Admin, "POST", "types", m{"volume_type": m{"name": "gold"}}, 200)
	if a = w.do(w.Admin, "GET", sets, nil, 200); a.Value("quota_set.volumes_gold") != -1.0 {
		t.Errorf("a new type of the old name is limited: %s", a.Body)
	}
}

func TestTypesByTheirSpecs(t *testing.T) { dbtest.EachOne(t, onTypesByTheirSpecs) }

func onTypesByTheirSpecs(t *testing.T) {
	w := newWorld(t)
	for name, specs := range map[string]m{"a": {"custom:k": "v", "RESKEY:availability_zones": "az1,az2"}, "b": {"custom:k": "v", "custom:l": "it's"},
		"c": {"custom:k": "w", "multiattach": "<is> True"}} {
		w.do(w.Admin, "POST", "types", m{"volume_type": m{"name": name, "extra_specs": specs}}, 200)
	}
	w.do(w.Admin, "POST", "types", m{"volume_type": m{"name": "d", "os-volume-type-access:is_public": false, "extra_specs": m{"multiattach": "<is> True"}}}, 200)
	const all = "[__DEFAULT__ a b c]"
	for _, c := range []struct {
		client                *testcloud.Client
		version, filter, want string
	}{
		{w.Admin, "3.52", `{'custom:k': 'v'}`, "[a b]"}, {w.Admin, "3.52", `{u'custom:k': u'v'}`, "[a b]"}, {w.Admin, "3.52", `{"custom:k":"v","custom:l":"it's"}`, "[b]"},
		{w.Admin, "3.52", `{'custom:k': 'v', 'custom:l': 'x'}`, "[]"}, {w.Admin, "3.52", `{'custom:k': ''}`, "[]"}, {w.Admin, "3.52", `{}`, all},
		{w.Admin, "3.51", `{'custom:k': 'v'}`, "[a b]"}, {w.Admin, "3.52", `{'RESKEY:availability_zones': 'az2'}`, "[a]"}, {w.Admin, "3.52", `{'custom:k': 'V'}`, "[]"},
		{w.Demo, "3.52", `{'custom:k': 'v'}`, "[]"}, {w.Demo, "3.51", `{'custom:k': 'v'}`, all}, {w.Demo, "3.52", `{'multiattach': '<is> True'}`, "[c]"},
		{w.Demo, "3.52", `{'multiattach': '<is> True', 'custom:k': 'w'}`, "[]"}, {w.Demo, "3.71", `{'RESKEY:availability_zones': 'az1'}`, "[a]"},
	} {
		list := c.client.Do("GET", "/volume/v3/types?sort=name:asc&extra_specs="+url.QueryEscape(c.filter), nil, "OpenStack-API-Version", "volume "+c.version).Expect(200)
		names := []any{}
		for _, one := range list.Value("volume_types").([]any) {
			names = append(names, one.(m)["name"])
		}
		if got := fmt.Sprint(names); got != c.want {
			t.Errorf("%s at %s: %s, want %s", c.filter, c.version, got, c.want)
		}
	}
	page := w.do(w.Admin, "GET", "types?is_public=None&sort=name:asc&limit=1&extra_specs="+url.QueryEscape(`{'multiattach': '<is> True'}`), nil, 200)
	if page.String("volume_types.0.name") != "c" || !strings.Contains(page.String("volume_type_links.0.href"), "extra_specs=") {
		t.Errorf("page: %s", page.Body)
	}
	w.do(w.Demo, "GET", "types?extra_specs="+url.QueryEscape("{'custom:k'"), nil, 400)
	w.do(w.Admin, "GET", "types?extra_specs=word", nil, 400)
}

func TestGroupsOfVolumes(t *testing.T) { dbtest.EachOne(t, onGroupsOfVolumes) }

func onGroupsOfVolumes(t *testing.T) {
	w := newWorld(t)
	gt := w.do(w.Admin, "POST", "group_types", m{"group_type": m{"name": "gt"}}, 202).String("group_type.id")
	w.do(w.Admin, "POST", "group_types/"+gt+"/group_specs", m{"group_specs": m{"a": "b", "n": nil}}, 202)
	w.do(w.Admin, "POST", "group_types/"+gt+"/group_specs", m{"group_specs": m{"a b": "b"}}, 400)
	w.do(w.Admin, "DELETE", "group_types/"+gt+"/group_specs/a", nil, 202)
	w.do(w.Admin, "DELETE", "group_types/"+gt+"/group_specs/a", nil, 404)
	w.do(w.Demo, "POST", "groups", m{"group": m{"group_type": "nothing", "volume_types": []string{"__DEFAULT__"}}}, 404)
	g := w.do(w.Demo, "POST", "groups", m{"group": m{"name": "g", "group_type": gt, "volume_types": []string{"__DEFAULT__"}}}, 202).String("group.id")
	w.do(w.Admin, "DELETE", "group_types/"+gt, nil, 400)
	v := w.volume(m{"group_id": g, "volume_type": "__DEFAULT__"})
	w.reaches("volumes/"+v, "volume.status", "available")
	loose := w.volume(m{})
	w.reaches("volumes/"+loose, "volume.status", "available")
	w.do(w.Demo, "PUT", "groups/"+g, m{"group": m{}}, 400)
	w.do(w.Demo, "PUT", "groups/"+g, m{"group": m{"add_volumes": loose, "name": "h"}}, 202)
	if got := w.do(w.Demo, "GET", "groups/"+g+"?list_volume=True", nil, 200); len(got.Value("group.volumes").([]any)) != 2 || got.String("group.name") != "h" {
		t.Errorf("group: %s", got.Body)
	}
	w.do(w.Demo, "PUT", "groups/"+g, m{"group": m{"remove_volumes": loose}}, 202)
	w.do(w.Demo, "DELETE", "volumes/"+v, nil, 400)
	w.do(w.Demo, "POST", "groups/"+g+"/action", m{"enable_replication": m{}}, 400)
	s := w.do(w.Demo, "POST", "group_snapshots", m{"group_snapshot": m{"group_id": g}}, 202).String("group_snapshot.id")
	w.reaches("group_snapshots/"+s, "group_snapshot.status", "available")
	w.do(w.Demo, "POST", "groups/"+g+"/action", m{"delete": m{"delete-volumes": true}}, 400)
	c := w.do(w.Demo, "POST", "groups/action", m{"create-from-src": m{"group_snapshot_id": s, "name": "copy"}}, 202).String("group.id")
	w.reaches("groups/"+c, "group.status", "available")
	for _, one := range []string{c, g} {
		if one == g {
			w.do(w.Demo, "DELETE", "group_snapshots/"+s, nil, 202)
			w.gone("group_snapshots/" + s)
			w.RunTasks()
		}
		w.do(w.Demo, "POST", "groups/"+one+"/action", m{"delete": m{"delete-volumes": true}}, 202)
	}
	w.RunTasks()
	if got := w.do(w.Demo, "GET", "groups", nil, 200); len(got.Value("groups").([]any)) != 0 {
		t.Errorf("groups are left: %s", got.Body)
	}
	w.do(w.Demo, "GET", "volumes/"+v, nil, 404)
	w.do(w.Demo, "GET", "volumes/"+loose, nil, 200)

	cg := w.do(w.Demo, "POST", "consistencygroups", m{"consistencygroup": m{"name": "cg", "volume_types": "__DEFAULT__"}}, 202).String("consistencygroup.id")
	if got := w.do(w.Demo, "GET", "consistencygroups/detail", nil, 200); got.String("consistencygroups.0.status") != "available" {
		t.Errorf("consistency groups: %s", got.Body)
	}
	w.do(w.Demo, "PUT", "consistencygroups/"+cg+"/update", m{"consistencygroup": m{"add_volumes": loose}}, 202)
	x := w.do(w.Demo, "POST", "cgsnapshots", m{"cgsnapshot": m{"consistencygroup_id": cg}}, 202).String("cgsnapshot.id")
	w.reaches("cgsnapshots/"+x, "cgsnapshot.status", "available")
	w.reaches("volumes/"+loose, "volume.status", "available")
}

func TestServicesAreFrozenAndClustersAreNone(t *testing.T) {
	w := newWorld(t)
	w.do(w.Admin, "PUT", "os-services/freeze", m{"host": "nowhere"}, 400)
	w.do(w.Admin, "PUT", "os-services/freeze", m{"host": "sim-1@mek"}, 200)
	w.do(w.Admin, "PUT", "os-services/freeze", m{"host": "sim-1@mek"}, 400)
	if got := w.do(w.Admin, "GET", "os-services?host=sim-1", nil, 200); got.Value("services.0.frozen") != true || got.String("services.0.status") != "enabled" {
		t.Errorf("a frozen host: %s", got.Body)
	}
	v := w.volume(m{})
	w.reaches("volumes/"+v, "volume.status", "available")
	if got := w.do(w.Admin, "GET", "volumes/"+v, nil, 200); got.String("volume.os-vol-host-attr:host") != "sim-2@mek#mek" {
		t.Errorf("made on a frozen host: %s", got.Body)
	}
	w.do(w.Admin, "POST", "volumes/"+v+"/action", m{"os-migrate_volume": m{"host": "sim-1@mek#mek"}}, 400)
	w.do(w.Admin, "PUT", "os-services/thaw", m{"host": "sim-1@mek"}, 200)
	w.do(w.Admin, "POST", "volumes/"+v+"/action", m{"os-migrate_volume": m{"host": "sim-1@mek#mek"}}, 202)
	w.RunTasks()
	if got := w.do(w.Admin, "GET", "volumes/"+v, nil, 200); got.String("volume.os-vol-host-attr:host") != "sim-1@mek#mek" || got.String("volume.migration_status") != "success" {
		t.Errorf("migrated: %s", got.Body)
	}
	w.do(w.Admin, "PUT", "os-services/failover_host", m{"host": "sim-1@mek"}, 400)
	w.do(w.Admin, "GET", "clusters", nil, 200)
	w.do(w.Admin, "GET", "clusters?odd=1", nil, 400)
	w.do(w.Admin, "GET", "clusters/c", nil, 404)
	w.do(w.Admin, "POST", "workers/cleanup", m{"host": "sim-1"}, 202)
	if got := w.do(w.Admin, "PUT", "os-services/get-log", m{"binary": "cinder-api"}, 200); got.String("log_levels.0.levels.mek") == "" {
		t.Errorf("log levels: %s", got.Body)
	}
	w.do(w.Demo, "POST", "volumes/"+v+"/action", m{"os-initialize_connection": m{"connector": m{"host": "elsewhere"}}}, 501)
	w.do(w.Demo, "POST", "volumes/"+v+"/action", m{"os-initialize_connection": m{"connector": m{"host": "sim-2"}}}, 200)
}

func TestMetadataAreGuarded(t *testing.T) {
	w := newWorld(t)
	v := w.volume(m{"metadata": m{"a": "b"}})
	w.reaches("volumes/"+v, "volume.status", "available")
	tag := w.do(w.Demo, "GET", "volumes/"+v+"/metadata", nil, 200).Header.Get("ETag")
	put := func(tag, value string, status int) {
		t.Helper()
		w.Demo.Do("PUT", "/volume/v3/volumes/"+v+"/metadata/a", m{"meta": m{"a": value}}, "OpenStack-API-Version", latest, "If-Match", tag).Expect(status)
	}
	put(tag, "c", 200)
	put(tag, "d", http.StatusPreconditionFailed)
	if got := w.do(w.Demo, "GET", "volumes/"+v+"/metadata/a", nil, 200); got.String("meta.a") != "c" {
		t.Errorf("metadata: %s", got.Body)
	}
}
