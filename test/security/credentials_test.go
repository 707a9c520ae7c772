package security

import (
	"net/http"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud"
)

// TestCredentialsKeepTheirOwner (SEC-11): a key cannot be given another owner,
// project or parent, and a lesser credential makes no greater one.
func TestCredentialsKeepTheirOwner(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	me, admin := cloud.Demo, cloud.Admin
	key := me.Do("POST", "/identity/v3/credentials", object{"credential": object{"type": "ec2", "user_id": me.UserID, "project_id": me.ProjectID, "blob": `{"access":"my-access","secret":"my-secret"}`}}).
		Expect(201).String("credential.id")
	path := "/identity/v3/credentials/" + key
	for name, change := range map[string]object{
		"owner":             {"user_id": admin.UserID},
		"owner and project": {"user_id": admin.UserID, "project_id": admin.ProjectID},
		"project":           {"project_id": admin.ProjectID},
		"trust":             {"blob": `{"access":"my-access","secret":"x","trust_id":"1"}`},
		"app credential":    {"blob": `{"access":"my-access","secret":"x","app_cred_id":"1"}`},
		"access key":        {"blob": `{"access":"other-access","secret":"x","access_token_id":"1"}`},
	} {
		if a := me.Do("PATCH", path, object{"credential": change}); a.Status < 400 {
			t.Errorf("%s was changed: %d %s", name, a.Status, a.Body)
		}
	}
	shown := me.Get(path).Expect(200)
	if shown.String("credential.user_id") != me.UserID || shown.String("credential.project_id") != me.ProjectID {
		t.Errorf("the key is now %s", shown.Body)
	}
	for name, body := range map[string]object{
		"another user's": {"type": "ec2", "user_id": admin.UserID, "project_id": me.ProjectID, "blob": `{"access":"a1","secret":"s"}`},
	} {
		if a := me.Do("POST", "/identity/v3/credentials", object{"credential": body}); a.Status < 400 {
			t.Errorf("%s key was made: %s", name, a.Body)
		}
	}
	for _, other := range []string{"/identity/v3/users/" + admin.UserID + "/credentials/OS-EC2", "/identity/v3/credentials?user_id=" + admin.UserID} {
		if a := me.Get(other); a.Status == http.StatusOK && len(a.List("credentials")) > 0 {
			t.Errorf("%s shows %s", other, a.Body)
		}
	}
	narrow(t, cloud)
}

// narrow: an application credential that may not make others makes no key either.
func narrow(t *testing.T, cloud *testcloud.Cloud) {
	me := cloud.Demo
	id := me.Do("POST", "/identity/v3/users/"+me.UserID+"/application_credentials", object{"application_credential": object{"name": "narrow", "secret": "s", "roles": []object{{"name": "reader"}}}}).
		Expect(201).String("application_credential.id")
	app := *cloud.Anonymous()
	app.Token = login(cloud, object{"identity": object{"methods": []string{"application_credential"}, "application_credential": object{"id": id, "secret": "s"}}})
	for path, body := range map[string]object{
		"/identity/v3/users/" + me.UserID + "/application_credentials": {"application_credential": object{"name": "wider", "roles": []object{{"name": "member"}}}},
		"/identity/v3/users/" + me.UserID + "/credentials/OS-EC2":      {"tenant_id": me.ProjectID},
		"/identity/v3/credentials":                                     {"credential": object{"type": "ec2", "user_id": me.UserID, "project_id": me.ProjectID, "blob": `{"access":"a3","secret":"s"}`}},
		"/identity/v3/OS-TRUST/trusts": {"trust": object{"trustor_user_id": me.UserID, "trustee_user_id": cloud.Admin.UserID, "project_id": me.ProjectID, "impersonation": true,
			"roles": []object{{"name": "member"}}}},
	} {
		if a := app.Do("POST", path, body); a.Status < 400 {
			t.Errorf("a narrow credential made a wider one at %s: %s", path, a.Body)
		}
	}
}

// TestAttachmentsInUse (SEC-08): while a server has a volume, nobody but Nova ends
// the attachment by Cinder: the host would go on using what is another's soon.
func TestAttachmentsInUse(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	e := settle(t, cloud, cloud.Demo, "mine")
	me := cloud.Demo
	me.Do("POST", "/compute/v2.1/servers/"+e["server"]+"/os-volume_attachments", object{"volumeAttachment": object{"volumeId": e["volume"]}}).Expect(200)
	cloud.RunTasks()
	const header, v = "OpenStack-API-Version", "volume 3.44"
	attachment := me.Get("/volume/v3/attachments?volume_id="+e["volume"], header, v).Expect(200).String("attachments.0.id")
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"DELETE", "/volume/v3/attachments/" + attachment, nil},
		{"POST", "/volume/v3/volumes/" + e["volume"] + "/action", object{"os-detach": object{"attachment_id": attachment}}},
		{"POST", "/volume/v3/volumes/" + e["volume"] + "/action", object{"os-terminate_connection": object{"connector": object{"host": "h"}}}},
		{"POST", "/volume/v3/volumes/" + e["volume"] + "/action", object{"os-force_detach": object{"attachment_id": attachment}}},
		{"DELETE", "/volume/v3/volumes/" + e["volume"], nil},
		{"POST", "/volume/v3/volume-transfers", object{"transfer": object{"volume_id": e["volume"]}}},
		{"POST", "/volume/v3/volumes/" + e["volume"] + "/action", object{"os-extend": object{"new_size": 2}}},
	} {
		a := me.Do(c.method, c.path, c.body, header, "volume 3.41")
		if c.path == "/volume/v3/attachments/"+attachment {
			a = me.Do(c.method, c.path, c.body, header, v)
		}
		if a.Status < 400 {
			t.Errorf("%s %s %v: %d %s", c.method, c.path, c.body, a.Status, a.Body)
		}
	}
	if s := me.Get("/volume/v3/volumes/" + e["volume"]).String("volume.status"); s != "in-use" {
		t.Errorf("the volume is %s", s)
	}
	me.Do("DELETE", "/compute/v2.1/servers/"+e["server"]+"/os-volume_attachments/"+e["volume"], nil).Expect(202)
	cloud.RunTasks()
	if s := me.Get("/volume/v3/volumes/" + e["volume"]).String("volume.status"); s != "available" {
		t.Errorf("after Nova's detach the volume is %s", s)
	}
}
