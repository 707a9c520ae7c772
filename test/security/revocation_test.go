package security

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/coder/websocket"

	"github.com/mekcloud/mek/internal/testcloud"
)

// victim is a user with every way in that there is, and everything open that
// lasts.
type victim struct {
	t                     *testing.T
	c                     *testcloud.Cloud
	name, user, project   string
	token, old            string // of a password login, and of Swift's own way in
	app, appToken         string
	trust, trustToken     string
	key                   aws.Credentials
	keyID                 string
	upload, signed, shown chan error // end when the transfer does
	download              io.ReadCloser
	size                  int
}

// ways are the surfaces, by what opens them.
var ways = []string{"token", "swift token", "application credential", "trust", "S3", "upload", "upload by S3", "download", "console"}

func newVictim(t *testing.T, c *testcloud.Cloud, name, image, flavor string) *victim {
	t.Helper()
	v := &victim{t: t, c: c, name: name, size: 48 << 20}
	v.project = c.Admin.Do("POST", "/identity/v3/projects", object{"project": object{"name": name, "domain_id": "default"}}).Expect(201).String("project.id")
	v.user = c.Admin.Do("POST", "/identity/v3/users", object{"user": object{"name": name, "password": "pw-" + name, "domain_id": "default"}}).Expect(201).String("user.id")
	c.Admin.Do("PUT", "/identity/v3/projects/"+v.project+"/users/"+v.user+"/roles/"+role(c, "member"), nil).Expect(204)
	me := c.Login(name, "pw-"+name, name)
	v.token = me.Token
	v.old = c.Anonymous().Get("/auth/v1.0", "X-Auth-User", name+":"+name, "X-Auth-Key", "pw-"+name).Expect(200).Header.Get("X-Auth-Token")
	a := me.Do("POST", "/identity/v3/users/"+v.user+"/application_credentials", object{"application_credential": object{"name": "app", "secret": "app-secret"}}).Expect(201)
	v.app = a.String("application_credential.id")
	v.appToken = login(c, object{"identity": object{"methods": []string{"application_credential"}, "application_credential": object{"id": v.app, "secret": "app-secret"}}})
	v.trust = me.Do("POST", "/identity/v3/OS-TRUST/trusts", object{"trust": object{"trustor_user_id": v.user, "trustee_user_id": c.Demo.UserID, "project_id": v.project, "impersonation": true,
		"roles": []object{{"name": "member"}}}}).Expect(201).String("trust.id")
	v.trustToken = login(c, object{"identity": object{"methods": []string{"password"}, "password": object{"user": object{"id": c.Demo.UserID, "password": testcloud.DemoPassword}}},
		"scope": object{"OS-TRUST:trust": object{"id": v.trust}}})
	a = me.Do("POST", "/identity/v3/users/"+v.user+"/credentials/OS-EC2", object{"tenant_id": v.project}).Expect(201)
	v.key = aws.Credentials{AccessKeyID: a.String("credential.access"), SecretAccessKey: a.String("credential.secret")}
	account := "/v1/AUTH_" + v.project
	me.Do("PUT", account+"/box", nil).Expect(201)
	me.Do("PUT", account+"/box/large", bytes.Repeat([]byte("x"), v.size)).Expect(201)
	v.open(account, me, image, flavor)
	return v
}

func role(c *testcloud.Cloud, name string) string {
	return c.Admin.Get("/identity/v3/roles?name=" + name).String("roles.0.id")
}

func login(c *testcloud.Cloud, auth object) string {
	return c.Anonymous().Do("POST", "/identity/v3/auth/tokens", object{"auth": auth}).Expect(201).Header.Get("X-Subject-Token")
}

// drip is a body that never ends.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-d.ctx.Done():
		return 0, io.ErrUnexpectedEOF
	case <-time.After(20 * time.Millisecond):
		return copy(p, "x"), nil
	}
}

// open begins what lasts.
func (v *victim) open(account string, me *testcloud.Client, image, flavor string) {
	v.t.Helper()
	send := func(r *http.Request) chan error {
		done := make(chan error, 1)
		go func() {
			a, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
			if err == nil {
				_, err = io.Copy(io.Discard, a.Body)
				a.Body.Close()
			}
			done <- err
		}()
		return done
	}
	request := func(method, address string, body io.Reader) *http.Request {
		r, err := http.NewRequestWithContext(v.t.Context(), method, address, body)
		if err != nil {
			v.t.Fatal(err)
		}
		return r
	}
	r := request("PUT", v.c.URL+account+"/box/slow", drip{v.t.Context()})
	r.Header.Set("X-Auth-Token", v.token)
	v.upload = send(r)
	v.signed = send(v.sign(func() *http.Request {
		r := request("PUT", v.c.S3+"/box/slow-signed", drip{v.t.Context()})
		r.ContentLength = 1 << 20
		return r
	}(), "UNSIGNED-PAYLOAD"))
	r = request("GET", v.c.URL+account+"/box/large", nil)
	r.Header.Set("X-Auth-Token", v.token)
	a, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil || a.StatusCode != http.StatusOK {
		v.t.Fatalf("download: %v %v", a, err)
	}
	v.download = a.Body
	server := me.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": v.name, "imageRef": image, "flavorRef": flavor, "networks": "none"}}, "OpenStack-API-Version", "compute 2.37").Expect(202).String("server.id")
	v.c.RunTasks()
	address := me.Do("POST", "/compute/v2.1/servers/"+server+"/remote-consoles", object{"remote_console": object{"protocol": "vnc", "type": "novnc"}}, "OpenStack-API-Version", "compute 2.6").
		Expect(200).String("remote_console.url")
	page, err := url.Parse(address)
	if err != nil {
		v.t.Fatal(err)
	}
	ws, _, err := websocket.Dial(v.t.Context(), v.c.URL+"/"+page.Query().Get("path"), &websocket.DialOptions{Subprotocols: []string{"binary"}})
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = ws.CloseNow() })
	v.shown = make(chan error, 1)
	go func() {
		for {
			if _, _, err := ws.Read(context.Background()); err != nil {
				v.shown <- err
				return
			}
		}
	}()
}

func (v *victim) sign(r *http.Request, sum string) *http.Request {
	v.t.Helper()
	if sum == "" {
		raw := sha256.Sum256(nil)
		sum = hex.EncodeToString(raw[:])
	}
	r.Header.Set("X-Amz-Content-Sha256", sum)
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(v.t.Context(), v.key, r, sum, "s3", "us-east-1", time.Now()); err != nil {
		v.t.Fatal(err)
	}
	return r
}

// opens tells whether a way in still opens.
func (v *victim) opens(way string) bool {
	v.t.Helper()
	lasts := func(done chan error) bool {
		select {
		case err := <-done:
			done <- err
			return false
		default:
			return true
		}
	}
	with := func(token string) bool {
		c := *v.c.Anonymous()
		c.Token = token
		open := 0
		paths := []string{"/compute/v2.1/servers", "/volume/v3/volumes", "/image/v2/images", "/networking/v2.0/networks", "/identity/v3/auth/catalog", "/v1/AUTH_" + v.project}
		for _, path := range paths {
			if a := c.Get(path); a.Status < 300 {
				open++
			}
		}
		if open != 0 && open != len(paths) {
			v.t.Logf("%d of %d services take the token of %s", open, len(paths), v.name)
		}
		return open > 0
	}
	switch way {
	case "token":
		return with(v.token)
	case "swift token":
		return with(v.old)
	case "application credential":
		return with(v.appToken)
	case "trust":
		return with(v.trustToken)
	case "S3":
		r, err := http.NewRequest("GET", v.c.S3+"/box?list-type=2", nil)
		if err != nil {
			v.t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(v.sign(r, ""))
		if err != nil {
			v.t.Fatal(err)
		}
		defer a.Body.Close()
		return a.StatusCode == http.StatusOK
	case "upload":
		return lasts(v.upload)
	case "upload by S3":
		return lasts(v.signed)
	case "console":
		return lasts(v.shown)
	}
	return v.download != nil // it is read to its end when the time has come
}

// TestRevocationEverywhere (SEC-13, I-26): what ends a way in ends it within a
// second on every surface, with what is open by it, and ends no other.
func TestRevocationEverywhere(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	flavor := cloud.Admin.Do("POST", "/compute/v2.1/flavors", object{"flavor": object{"name": "small", "ram": 64, "vcpus": 1, "disk": 1}}).Expect(200).String("flavor.id")
	image := cloud.Admin.Do("POST", "/image/v2/images", object{"name": "any", "disk_format": "raw", "container_format": "bare", "visibility": "public"}).Expect(201).String("id")
	cloud.Admin.Do("PUT", "/image/v2/images/"+image+"/file", strings.Repeat("x", 1<<16), "Content-Type", "application/octet-stream").Expect(204)
	byToken := "token|upload|download|console"
	for i, kind := range []struct {
		name, ends string
		end        func(v *victim)
	}{
		{"user disabled", strings.Join(ways, "|"), func(v *victim) {
			cloud.Admin.Do("PATCH", "/identity/v3/users/"+v.user, object{"user": object{"enabled": false}}).Expect(200)
		}},
		{"project disabled", strings.Join(ways, "|"), func(v *victim) {
			cloud.Admin.Do("PATCH", "/identity/v3/projects/"+v.project, object{"project": object{"enabled": false}}).Expect(200)
		}},
		{"role taken away", strings.Join(ways, "|"), func(v *victim) {
			cloud.Admin.Do("DELETE", "/identity/v3/projects/"+v.project+"/users/"+v.user+"/roles/"+role(cloud, "member"), nil).Expect(204)
		}},
		{"password changed", byToken + "|swift token|application credential|trust", func(v *victim) {
			cloud.Admin.Do("PATCH", "/identity/v3/users/"+v.user, object{"user": object{"password": "another"}}).Expect(200)
		}},
		{"token revoked", byToken, func(v *victim) {
			cloud.Admin.Do("DELETE", "/identity/v3/auth/tokens", nil, "X-Subject-Token", v.token).Expect(204)
		}},
		{"key deleted", "S3|upload by S3", func(v *victim) {
			cloud.Admin.Do("DELETE", "/identity/v3/users/"+v.user+"/credentials/OS-EC2/"+v.key.AccessKeyID, nil).Expect(204)
		}},
		{"application credential deleted", "application credential", func(v *victim) {
			c := *cloud.Anonymous()
			c.Token = v.token
			c.Do("DELETE", "/identity/v3/users/"+v.user+"/application_credentials/"+v.app, nil).Expect(204)
		}},
		{"trust deleted", "trust", func(v *victim) {
			c := *cloud.Anonymous()
			c.Token = v.token
			c.Do("DELETE", "/identity/v3/OS-TRUST/trusts/"+v.trust, nil).Expect(204)
		}},
	} {
		v := newVictim(t, cloud, fmt.Sprint("victim-", i), image, flavor)
		t.Run(kind.name, func(t *testing.T) {
			v.t = t
			for _, way := range ways {
				if !v.opens(way) {
					t.Fatalf("%s does not open before", way)
				}
			}
			kind.end(v)
			over := time.NewTimer(time.Second)
			defer over.Stop()
			ended := map[string]bool{}
			for _, way := range strings.Split(kind.ends, "|") {
				ended[way] = true
				for late := false; way != "download" && v.opens(way); {
					if late {
						t.Errorf("%s still opens", way)
						break
					}
					select {
					case <-over.C:
						late = true
						over.Reset(0)
					case <-time.After(10 * time.Millisecond):
					}
				}
			}
			if ended["download"] {
				<-over.C
			}
			n, err := io.Copy(io.Discard, v.download)
			if cut := err != nil || int(n) < v.size; cut != ended["download"] {
				t.Errorf("download: %d bytes of %d, %v", n, v.size, err)
			}
			for _, way := range ways {
				if !ended[way] && way != "download" && !v.opens(way) {
					t.Errorf("%s ended, too", way)
				}
			}
		})
		_ = v.download.Close() // read, or cut
	}
}

// TestConsoles (SEC-25): an address of a console works once, for the server that
// it was made for, and for the page that we serve only.
func TestConsoles(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	flavor := cloud.Admin.Do("POST", "/compute/v2.1/flavors", object{"flavor": object{"name": "small", "ram": 64, "vcpus": 1, "disk": 1}}).Expect(200).String("flavor.id")
	image := cloud.Admin.Do("POST", "/image/v2/images", object{"name": "any", "disk_format": "raw", "container_format": "bare", "visibility": "public"}).Expect(201).String("id")
	cloud.Admin.Do("PUT", "/image/v2/images/"+image+"/file", strings.Repeat("x", 1<<16), "Content-Type", "application/octet-stream").Expect(204)
	server := cloud.Demo.Do("POST", "/compute/v2.1/servers", object{"server": object{"name": "seen", "imageRef": image, "flavorRef": flavor, "networks": "none"}}, "OpenStack-API-Version", "compute 2.37").Expect(202).String("server.id")
	cloud.RunTasks()
	path := func() string {
		t.Helper()
		address := cloud.Demo.Do("POST", "/compute/v2.1/servers/"+server+"/remote-consoles", object{"remote_console": object{"protocol": "vnc", "type": "novnc"}}, "OpenStack-API-Version", "compute 2.6").
			Expect(200).String("remote_console.url")
		u, err := url.Parse(address)
		if err != nil || u.Host != strings.TrimPrefix(cloud.URL, "http://") {
			t.Fatalf("address %s, %v", address, err)
		}
		return cloud.URL + "/" + u.Query().Get("path")
	}
	dial := func(address, origin string) error {
		o := &websocket.DialOptions{Subprotocols: []string{"binary"}, HTTPHeader: http.Header{}}
		if origin != "" {
			o.HTTPHeader.Set("Origin", origin)
		}
		ws, _, err := websocket.Dial(t.Context(), address, o)
		if err == nil {
			_ = ws.CloseNow()
		}
		return err
	}
	once := path()
	if err := dial(once, cloud.URL); err != nil {
		t.Errorf("the page's own origin: %v", err)
	}
	if dial(once, cloud.URL) == nil {
		t.Error("an address opens twice")
	}
	for _, origin := range []string{"http://evil.example", "null", "http://" + strings.TrimPrefix(cloud.URL, "http://") + ".evil.example", "https://127.0.0.1"} {
		if dial(path(), origin) == nil {
			t.Errorf("origin %s is let in", origin)
		}
	}
	if err := dial(path(), ""); err != nil {
		t.Errorf("a client that is no browser: %v", err)
	}
	before := path()
	cloud.Demo.Do("POST", "/compute/v2.1/servers/"+server+"/action", object{"rebuild": object{"imageRef": image}}).Expect(202)
	cloud.RunTasks()
	if dial(before, "") == nil {
		t.Error("an address opens the console of a rebuilt server")
	}
	for _, target := range []string{"//evil.example/", "/console/..//evil.example", "/console/%2f%2fevil.example", "/console/https://evil.example"} {
		if a := cloud.Anonymous().Get(target); a.Status/100 == 3 && (strings.HasPrefix(a.Header.Get("Location"), "//") || !strings.HasPrefix(a.Header.Get("Location"), "/")) {
			t.Errorf("%s leads to %s", target, a.Header.Get("Location"))
		}
	}
}
