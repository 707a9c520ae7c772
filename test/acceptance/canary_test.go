package acceptance

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/config"
)

// canaries are secrets that a test gives away, by what they are, and where they
// may not turn up.
type canaries struct {
	*cloud
	client *http.Client
	root   string
	known  map[string]string // secret → what it is
	said   bytes.Buffer      // bodies of refusals
}

// secret makes one of a kind, in a form that is accepted everywhere.
func (c *canaries) secret(what string) string {
	s := fmt.Sprintf("Canary%dZ%s", len(c.known), strings.Repeat("q7", 6))
	c.known[s] = what
	return s
}

func (c *canaries) do(method, path, token string, body any, headers ...string) (int, http.Header, map[string]any) {
	c.t.Helper()
	content, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	if text, ok := body.(string); ok {
		content = []byte(text)
	}
	r, err := http.NewRequest(method, c.root+path, bytes.NewReader(content))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a, err := c.client.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer a.Body.Close()
	out, err := io.ReadAll(a.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if a.StatusCode >= 400 {
		c.said.Write(out)
		fmt.Fprintln(&c.said, a.Header)
	}
	var v map[string]any
	_ = json.Unmarshal(out, &v) // not every answer is JSON
	return a.StatusCode, a.Header, v
}

type values = map[string]any

func (c *canaries) login(user, password, project string) (status int, token string) {
	domain := values{"id": "default"}
	body := values{"auth": values{"identity": values{"methods": []string{"password"}, "password": values{"user": values{"name": user, "password": password, "domain": domain}}},
		"scope": values{"project": values{"name": project, "domain": domain}}}}
	status, header, _ := c.do("POST", "/identity/v3/auth/tokens", "", body)
	return status, header.Get("X-Subject-Token")
}

func (c *canaries) want(status int, got int) {
	c.t.Helper()
	if got != status {
		c.t.Fatalf("status %d, want %d\n%s", got, status, c.said.Bytes())
	}
}

func dig(v any, path ...string) any {
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

// TestCanaries (SEC-32, I-30): secrets that users and the cloud have are in no
// log at its most talkative, no argument, no environment, no answer that
// refuses, no file of the database, and no core dump.
func TestCanaries(t *testing.T) {
	t.Parallel()
	c := &canaries{cloud: place(t), known: map[string]string{}}
	if err := os.MkdirAll(c.data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.data, "mek.yaml"), []byte("log_level: debug\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.up("--simulate", "2", "--detach", "--image", guestImage(t))
	pem, err := os.ReadFile(filepath.Join(c.data, "tls", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	c.root = "https://127.0.0.1:8443"
	c.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DialContext: c.inside, TLSClientConfig: &tls.Config{RootCAs: pool}}}

	raw, err := os.ReadFile(filepath.Join(c.data, "secrets", "bootstrap.json"))
	if err != nil {
		t.Fatal(err)
	}
	var first config.Bootstrap
	if err := json.Unmarshal(raw, &first); err != nil {
		t.Fatal(err)
	}
	c.known[first.AdminPassword], c.known[first.DemoPassword], c.known[first.ServicePassword] = "admin's password", "demo's password", "service's password"
	master, err := os.ReadFile(filepath.Join(c.data, "secrets", "master.key"))
	if err != nil {
		t.Fatal(err)
	}
	c.known[strings.TrimSpace(string(master))] = "the master key"

	status, admin := c.login("admin", first.AdminPassword, "admin")
	c.want(201, status)
	status, demo := c.login("demo", first.DemoPassword, "demo")
	c.want(201, status)
	c.known[admin], c.known[demo] = "admin's token", "demo's token"
	c.plantIdentity(admin, demo)
	c.plantCompute(demo)
	c.plantObjects(demo)
	c.mistakes(admin, demo)
	c.search()
	c.mek("uninstall", "--purge", "--yes")
}

// plantIdentity makes every kind of credential that Keystone has.
func (c *canaries) plantIdentity(admin, demo string) {
	status, _, made := c.do("POST", "/identity/v3/users", admin, values{"user": values{"name": "bird", "password": c.secret("a new user's password"), "domain_id": "default"}})
	c.want(201, status)
	bird := fmt.Sprint(dig(made, "user", "id"))
	status, _, _ = c.do("PATCH", "/identity/v3/users/"+bird, admin, values{"user": values{"password": c.secret("a changed password")}})
	c.want(200, status)
	_, _, me := c.do("GET", "/identity/v3/auth/tokens", demo, nil, "X-Subject-Token", demo)
	user, project := fmt.Sprint(dig(me, "token", "user", "id")), fmt.Sprint(dig(me, "token", "project", "id"))
	status, _, _ = c.do("POST", "/identity/v3/users/"+user+"/application_credentials", demo, values{"application_credential": values{"name": "robot", "secret": c.secret("an application credential's secret")}})
	c.want(201, status)
	status, _, key := c.do("POST", "/identity/v3/users/"+user+"/credentials/OS-EC2", demo, values{"tenant_id": project})
	c.want(201, status)
	c.known[fmt.Sprint(dig(key, "credential", "secret"))] = "an EC2 secret"
	status, _, _ = c.do("POST", "/identity/v3/credentials", demo, values{"credential": values{"type": "cert", "blob": c.secret("a credential's blob"), "user_id": user}})
	c.want(201, status)
	status, _, _ = c.do("POST", "/identity/v3/credentials", demo, values{"credential": values{"type": "totp", "blob": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "user_id": user}})
	c.want(201, status)
	c.known["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"] = "a secret of one-time codes"
	status, _, trust := c.do("POST", "/identity/v3/OS-TRUST/trusts", demo, values{"trust": values{"trustor_user_id": user, "trustee_user_id": bird, "project_id": project, "impersonation": true,
		"roles": []values{{"name": "member"}}}})
	c.want(201, status)
	_ = trust
	status, _, consumer := c.do("POST", "/identity/v3/OS-OAUTH1/consumers", admin, values{"consumer": values{"description": "x"}})
	c.want(201, status)
	c.known[fmt.Sprint(dig(consumer, "consumer", "secret"))] = "a consumer's secret"
	// Config blobs of domains may hold a directory's password.
	status, _, _ = c.do("PUT", "/identity/v3/domains/default/config", admin, values{"config": values{"ldap": values{"url": "ldap://x", "password": c.secret("a directory's password")}}})
	if status != 201 && status != 200 && status != 403 {
		c.t.Errorf("a domain's configuration: %d", status)
	}
}

// plantCompute makes a server with everything secret that one can be given.
func (c *canaries) plantCompute(demo string) {
	data := base64.StdEncoding.EncodeToString([]byte("#cloud-config\npassword: " + c.secret("user data")))
	c.known[data] = "user data as they are sent"
	file := c.secret("an injected file")
	pick := func(path, many, name string) string {
		_, _, list := c.do("GET", path, demo, nil)
		for _, x := range list[many].([]any) {
			if name == "" || dig(x, "name") == name {
				return fmt.Sprint(dig(x, "id"))
			}
		}
		c.t.Fatalf("no %s in %s", name, path)
		return ""
	}
	image, flavor := pick("/image/v2/images", "images", "tiny"), pick("/compute/v2.1/flavors", "flavors", "m1.tiny")
	status, _, made := c.do("POST", "/compute/v2.1/servers", demo, values{"server": values{"name": "nest", "imageRef": image, "flavorRef": flavor, "networks": []values{{"uuid": pick("/networking/v2.0/networks", "networks", "private")}},
		"user_data": data, "adminPass": c.secret("an administrator's password"), "config_drive": true,
		"personality": []values{{"path": "/etc/x", "contents": base64.StdEncoding.EncodeToString([]byte(file))}}}})
	c.want(202, status)
	c.known[base64.StdEncoding.EncodeToString([]byte(file))] = "an injected file as it is sent"
	server := "/compute/v2.1/servers/" + fmt.Sprint(dig(made, "server", "id"))
	c.until("the server is active", time.Minute, func() (bool, string) {
		_, _, now := c.do("GET", server, demo, nil)
		return dig(now, "server", "status") == "ACTIVE", fmt.Sprint(dig(now, "server", "status"))
	})
	_, _, key := c.do("POST", "/compute/v2.1/os-keypairs", demo, values{"keypair": values{"name": "made"}})
	if private, _ := dig(key, "keypair", "private_key").(string); len(private) > 100 {
		c.known[strings.Split(private, "\n")[5]] = "a private key"
	} else {
		c.t.Error("no private key was made")
	}
	status, _, _ = c.do("POST", server+"/action", demo, values{"changePassword": values{"adminPass": c.secret("a server's changed password")}})
	if status >= 500 && status != 501 {
		c.t.Errorf("changing a password: %d", status)
	}
	status, _, _ = c.do("POST", server+"/action", demo, values{"rebuild": values{"imageRef": image, "adminPass": c.secret("a rebuilt server's password"),
		"user_data": base64.StdEncoding.EncodeToString([]byte(c.secret("user data of a rebuild")))}}, "OpenStack-API-Version", "compute 2.57")
	c.want(202, status)
	c.until("the server is rebuilt", time.Minute, func() (bool, string) {
		_, _, now := c.do("GET", server, demo, nil)
		return dig(now, "server", "status") == "ACTIVE", fmt.Sprint(dig(now, "server", "status"))
	})
	_, _, console := c.do("POST", server+"/remote-consoles", demo, values{"remote_console": values{"protocol": "vnc", "type": "novnc"}}, "OpenStack-API-Version", "compute 2.6")
	address := fmt.Sprint(dig(console, "remote_console", "url"))
	if i := strings.LastIndex(address, "token%3D"); i >= 0 {
		token := address[i+len("token%3D"):]
		c.known[token] = "a console's token"
		c.do("GET", "/console/websockify?token="+token, "", nil)
		c.do("GET", "/compute/v2.1/os-console-auth-tokens/"+token, demo, nil, "OpenStack-API-Version", "compute 2.31")
	} else {
		c.t.Errorf("no console: %s", address)
	}
}

// plantObjects sets the keys that sign addresses of objects.
func (c *canaries) plantObjects(demo string) {
	_, _, me := c.do("GET", "/identity/v3/auth/tokens", demo, nil, "X-Subject-Token", demo)
	account := "/v1/AUTH_" + fmt.Sprint(dig(me, "token", "project", "id"))
	key := c.secret("a key of temporary addresses")
	status, _, _ := c.do("POST", account, demo, nil, "X-Account-Meta-Temp-URL-Key", key)
	c.want(204, status)
	delete(c.known, key) // metadata of the owner's own, which he reads: it may be in the index, and in nothing else
	c.do("GET", account+"/c/o?temp_url_sig="+c.secret("a signature")+"&temp_url_expires=9999999999", "", nil)
	c.do("GET", "/auth/v1.0", "", nil, "X-Auth-User", "demo:demo", "X-Auth-Key", c.secret("a key in a header"))
}

// mistakes provokes refusals that have a secret in what was sent.
func (c *canaries) mistakes(admin, demo string) {
	wrong := c.secret("a wrong password")
	for range 3 {
		c.login("demo", wrong, "demo")
	}
	c.login("nobody", c.secret("a password of nobody"), "demo")
	c.do("POST", "/identity/v3/auth/tokens", "", `{"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "demo", "password": {"`+c.secret("a password of the wrong type")+`": 1}}}}}}`)
	c.do("POST", "/identity/v3/auth/tokens", "", `{"auth": {"identity": {"methods": ["password"], "password": {"user": {"password": "`+c.secret("a password in broken JSON")+`"`)
	c.do("GET", "/compute/v2.1/servers", c.secret("a forged token"), nil)
	c.do("GET", "/compute/v2.1/servers", demo, nil, "X-Service-Token", c.secret("a forged service token"))
	c.do("GET", "/identity/v3/auth/tokens", admin, nil, "X-Subject-Token", c.secret("a forged subject"))
	c.do("POST", "/identity/v3/users", admin, values{"user": values{"name": "demo", "password": c.secret("a password of a taken name"), "domain_id": "default"}})
	c.do("POST", "/identity/v3/users", admin, values{"user": values{"name": "u2", "password": c.secret("a password beside an unknown member"), "bogus": true, "options": values{"no": 1}}})
	c.do("POST", "/identity/v3/users/none/password", demo, values{"user": values{"original_password": c.secret("an old password"), "password": c.secret("a new password")}})
	c.do("POST", "/compute/v2.1/servers", demo, values{"server": values{"name": "x", "adminPass": c.secret("a password of a refused server"), "user_data": c.secret("bad user data"), "flavorRef": "1", "imageRef": "none"}})
	c.do("POST", "/compute/v2.1/servers", demo, values{"server": values{"name": "x", "adminPass": 5, "user_data": values{"a": c.secret("user data of the wrong type")}}})
	c.do("POST", "/identity/v3/ec2tokens", admin, values{"credentials": values{"access": "a", "signature": c.secret("an EC2 signature"), "host": "h", "verb": "GET", "path": "/", "params": values{}}})
	c.do("POST", "/image/v2/images/none/import", demo, values{"method": values{"name": "web-download", "uri": "https://user:" + c.secret("a password in an address") + "@192.0.2.1/x"}})
}

// search looks for the secrets everywhere.
func (c *canaries) search() {
	c.t.Helper()
	if len(c.known) < 30 {
		c.t.Fatalf("only %d secrets were planted", len(c.known))
	}
	c.look("an answer that refuses", c.said.Bytes())
	files := map[string]bool{}
	for _, dir := range []string{"log", "db"} {
		err := filepath.WalkDir(filepath.Join(c.data, dir), func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				files[path] = true
			}
			return err
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
	lines := 0
	for path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		if strings.HasSuffix(path, ".log") {
			lines += bytes.Count(content, []byte(`"msg":"request"`))
		}
		c.look(path, content)
	}
	if lines < 30 {
		c.t.Errorf("the logs tell of %d requests only: they are not at their most talkative", lines)
	}
	found := 0
	entries, err := os.ReadDir("/proc")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		command, err2 := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || err2 != nil || !strings.Contains(string(command), c.data) || pid == os.Getpid() {
			continue
		}
		found++
		c.look("arguments of process "+e.Name(), command)
		for _, name := range []string{"environ", "limits", "comm"} {
			content, err := os.ReadFile(filepath.Join("/proc", e.Name(), name))
			if err != nil {
				continue // it has ended
			}
			c.look(name+" of process "+e.Name(), content)
			if name == "limits" && !strings.Contains(string(content), "Max core file size        1                    1") &&
				(strings.Contains(string(command), "\x00server\x00") || strings.Contains(string(command), "\x00agent\x00")) {
				c.t.Errorf("process %s may leave a core dump:\n%s%s", e.Name(), command, content)
			}
		}
	}
	if found < 2 {
		c.t.Errorf("%d processes of the cloud were found", found)
	}
}

func (c *canaries) look(where string, content []byte) {
	c.t.Helper()
	for secret, what := range c.known {
		if len(secret) < 8 {
			c.t.Fatalf("%s is no secret: %q", what, secret)
		}
		for how, form := range map[string]string{"": secret, " in base64": base64.StdEncoding.EncodeToString([]byte(secret)), " in hexadecimal": fmt.Sprintf("%x", secret)} {
			if i := bytes.Index(content, []byte(form)); i >= 0 {
				c.t.Errorf("%s has %s%s: …%q…", where, what, how, content[max(0, i-80):min(len(content), i+40)])
			}
		}
	}
}
