package identityapi

import (
	"context"
	"slices"
	"testing"

	"github.com/mekcloud/mek/internal/fault"
)

// An access key is worth what a token of its user on its project is, and
// nothing once one of them, or what it was made through, is gone (SEC-11).
func TestAccessKeysForOtherServices(t *testing.T) {
	l := lend(t)
	made := func(token string) (string, string) {
		a := l.do(token, "POST", "/v3/users/"+l.user+"/credentials/OS-EC2", obj{"tenant_id": l.project}).expect(201)
		return a.text("credential.access"), a.text("credential.secret")
	}
	access, secret := made(l.token)
	ctx := context.Background()
	k, err := l.service.AccessKeys().Lookup(ctx, access)
	l.must(err)
	c := k.Credentials
	if k.Secret != secret || c.UserID != l.user || c.ProjectID != l.project || c.ProjectDomainID != "default" || !slices.Contains(c.Roles, "member") || c.TokenKey == "" {
		t.Errorf("key %+v", c)
	}
	refused := func(access, why string) {
		t.Helper()
		if _, err := l.service.AccessKeys().Lookup(ctx, access); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", why, err)
		}
	}
	works := func(access string) {
		t.Helper()
		if _, err := l.service.AccessKeys().Lookup(ctx, access); err != nil {
			t.Error(err)
		}
	}
	refused("unknown", "an unknown key")
	for _, at := range []struct{ path, one string }{{"/v3/users/" + l.user, "user"}, {"/v3/projects/" + l.project, "project"}} {
		l.do(l.admin, "PATCH", at.path, obj{at.one: obj{"enabled": false}}).expect(200)
		refused(access, "a disabled "+at.one)
		l.do(l.admin, "PATCH", at.path, obj{at.one: obj{"enabled": true}}).expect(200)
		works(access)
	}
	l.token = l.login("demo", "demo-pw", onProject("demo"))
	trust := l.do(l.token, "POST", "/v3/OS-TRUST/trusts", obj{"trust": l.trust(obj{"impersonation": true, "roles": []obj{{"name": "member"}}})}).expect(201).text("trust.id")
	lent, _ := made(l.asTrustee(trust).expect(201).header.Get("X-Subject-Token"))
	if k, err = l.service.AccessKeys().Lookup(ctx, lent); err != nil || !slices.Equal(k.Credentials.Roles, []string{"member", "reader"}) {
		t.Errorf("a key made through a trust: %+v, %v", k.Credentials, err)
	}
	l.do(l.token, "DELETE", "/v3/OS-TRUST/trusts/"+trust, nil).expect(204)
	refused(lent, "a key made through a deleted trust")
	l.do(l.token, "DELETE", "/v3/users/"+l.user+"/credentials/OS-EC2/"+access, nil).expect(204)
	refused(access, "a deleted key")
}

func TestDirectoryFindsByIDAndName(t *testing.T) {
	l := lend(t)
	ctx := context.Background()
	for _, name := range []string{"admin", l.do(l.admin, "GET", "/v3/projects?name=admin", nil).text("projects.0.id")} {
		if p, err := l.service.Directory().FindProject(ctx, name); err != nil || p.Name != "admin" {
			t.Errorf("project %s: %+v, %v", name, p, err)
		}
	}
	for _, name := range []string{"friend", l.friend} {
		if u, err := l.service.Directory().FindUser(ctx, name); err != nil || u.ID != l.friend {
			t.Errorf("user %s: %+v, %v", name, u, err)
		}
	}
	if _, err := l.service.Directory().FindUser(ctx, "nobody"); !fault.Is(err, fault.NotFound) {
		t.Errorf("nobody: %v", err)
	}
}
