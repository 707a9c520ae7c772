package networkapi_test

import (
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

const (
	statefulness     = "security_groups_default_statefulness"
	statefulnessPath = "security-groups-default-statefulness"
)

// TestDefaultStatefulness: a new group is what its maker says, else what its
// project says, else what is said for all, else stateful; groups there are stay.
func TestDefaultStatefulness(t *testing.T) {
	cloud := testcloud.New(t)
	admin, demo := cloud.Admin, cloud.Demo
	group := func(want bool, said m) string {
		t.Helper()
		a := create(demo, "security_group", "security-groups", said).Expect(201)
		if a.Value("security_group.stateful") != want {
			t.Errorf("stateful should be %t: %s", want, a.Body)
		}
		return a.String("security_group.id")
	}
	of := func(id string) string { return base + "/" + statefulnessPath + "/" + id }
	first := group(true, m{"name": "a"})

	all := create(admin, statefulness, statefulnessPath, m{"project_id": nil, "stateful": false}).Expect(201)
	if all.Value(statefulness+".project_id") != nil || all.Value(statefulness+".stateful") != false || len(all.Value(statefulness).(m)) != 3 {
		t.Errorf("for all: %s", all.Body)
	}
	again := create(admin, statefulness, statefulnessPath, m{"project_id": nil}).Expect(409)
	if got := again.String("NeutronError.message"); got != "A security group default statefulness setting already exists for project 'system-wide'." {
		t.Errorf("again: %s", again.Body)
	}
	group(false, m{"name": "b"})
	group(true, m{"name": "c", "stateful": true})
	other := create(admin, "security_group", "security-groups", m{"name": "d"}).Expect(201)
	if other.Value("security_group.stateful") != false {
		t.Errorf("of another project: %s", other.Body)
	}

	mine := create(admin, statefulness, statefulnessPath, m{"project_id": demo.ProjectID}).Expect(201)
	id := mine.String(statefulness + ".id")
	if mine.Value(statefulness+".stateful") != true || mine.String(statefulness+".project_id") != demo.ProjectID {
		t.Errorf("for a project: %s", mine.Body)
	}
	group(true, m{"name": "e"})
	admin.Do("PUT", of(id), m{statefulness: m{"stateful": "false"}}).Expect(200)
	group(false, m{"name": "f"})
	group(true, m{"name": "g", "stateful": true})
	admin.Do("DELETE", of(all.String(statefulness+".id")), nil).Expect(204)
	group(false, m{"name": "h"})
	admin.Do("DELETE", of(id), nil).Expect(204)
	group(true, m{"name": "i"})
	if got := demo.Get(base + "/security-groups/" + first).Expect(200); got.Value("security_group.stateful") != true {
		t.Errorf("a group that was there: %s", got.Body)
	}
	missing := admin.Get(of(id)).Expect(404)
	if got := missing.String("NeutronError.message"); got != "Security group default statefulness "+id+" could not be found." {
		t.Errorf("missing: %s", missing.Body)
	}
}

// TestWhoseStatefulness: members read what their project says and change
// nothing; what is said for all is nobody's.
func TestWhoseStatefulness(t *testing.T) {
	cloud := testcloud.New(t)
	admin, demo := cloud.Admin, cloud.Demo
	all := create(admin, statefulness, statefulnessPath, m{"project_id": nil, "stateful": false}).Expect(201).String(statefulness + ".id")
	mine := create(admin, statefulness, statefulnessPath, m{"project_id": demo.ProjectID, "stateful": true}).Expect(201).String(statefulness + ".id")
	own := create(admin, statefulness, statefulnessPath, m{"stateful": true}).Expect(201)
	if own.String(statefulness+".project_id") != admin.ProjectID {
		t.Errorf("of which nothing was said: %s", own.Body)
	}
	list := base + "/" + statefulnessPath
	if got := admin.Get(list + "?sort_key=stateful&stateful=true").Expect(200); len(got.List(statefulness)) != 2 {
		t.Errorf("stateful ones: %s", got.Body)
	}
	if got := admin.Get(list + "?project_id=" + demo.ProjectID).Expect(200); len(got.List(statefulness)) != 1 || got.String(statefulness+".0.id") != mine {
		t.Errorf("of a project: %s", got.Body)
	}
	if got := demo.Get(list).Expect(200); len(got.List(statefulness)) != 1 || got.String(statefulness+".0.id") != mine {
		t.Errorf("for a member: %s", got.Body)
	}
	demo.Get(list + "/" + mine).Expect(200)
	demo.Get(list + "/" + all).Expect(404)
	for _, id := range []string{mine, all, own.String(statefulness + ".id")} {
		want := 404
		if id == mine {
			want = 403
		}
		demo.Do("PUT", list+"/"+id, m{statefulness: m{"stateful": false}}).Expect(want)
		demo.Do("DELETE", list+"/"+id, nil).Expect(want)
	}
	for _, body := range []m{{}, {"project_id": nil}, {"project_id": admin.ProjectID}, {"tenant_id": nil}} {
		create(demo, statefulness, statefulnessPath, body).Expect(403)
	}
	for _, body := range []m{{"stateful": "perhaps"}, {"colour": "blue"}, {"project_id": 5}, {"project_id": nil, "tenant_id": demo.ProjectID}} {
		create(admin, statefulness, statefulnessPath, body).Expect(400)
	}
	admin.Do("PUT", list+"/"+mine, m{statefulness: m{"project_id": admin.ProjectID}}).Expect(400)
	admin.Get(base + "/extensions/" + statefulnessPath).Expect(200)
}

// TestStatelessGroupsStayAmongThemselves: a port has groups of one kind, and a
// group that is in use stays of its kind.
func TestStatelessGroupsStayAmongThemselves(t *testing.T) {
	cloud := testcloud.New(t)
	demo := cloud.Demo
	network := create(demo, "network", "networks", m{}).Expect(201).String("network.id")
	make := func(stateful bool) string {
		return create(demo, "security_group", "security-groups", m{"name": "g", "stateful": stateful}).Expect(201).String("security_group.id")
	}
	with, without, more := make(true), make(false), make(false)
	refused := create(demo, "port", "ports", m{"network_id": network, "security_groups": []string{with, without}}).Expect(409)
	if refused.String("NeutronError.type") != "SecurityGroupConflict" || refused.String("NeutronError.message") !=
		"Error Cannot apply both stateful and stateless security groups on the same port at the same time while attempting the operation." {
		t.Errorf("mixed: %s", refused.Body)
	}
	port := create(demo, "port", "ports", m{"network_id": network, "security_groups": []string{without, more}}).Expect(201).String("port.id")
	groups := func(ids ...string) *testcloud.Answer {
		return demo.Do("PUT", base+"/ports/"+port, m{"port": m{"security_groups": ids}})
	}
	groups(with, without).Expect(409)
	change := func(id string, stateful bool) *testcloud.Answer {
		return demo.Do("PUT", base+"/security-groups/"+id, m{"security_group": m{"stateful": stateful}})
	}
	if got := change(without, true).Expect(409).String("NeutronError.type"); got != "SecurityGroupInUse" {
		t.Errorf("in use: %s", got)
	}
	change(without, false).Expect(200)
	groups(with).Expect(200)
	change(without, true).Expect(200)
	groups(with, without).Expect(200)
}
