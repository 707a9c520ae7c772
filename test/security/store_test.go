package security

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/testcloud"
)

// digest sums every table up; changing are those that background work writes.
func digest(t *testing.T, d *db.DB) map[string]string {
	t.Helper()
	ctx := context.Background()
	query := "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
	if d.Engine() == db.Postgres {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY table_name"
	}
	out := map[string]string{}
	for _, name := range column(t, d, query) {
		rows, err := d.QueryContext(ctx, "SELECT * FROM "+name)
		if err != nil {
			t.Fatal(err)
		}
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for rows.Next() {
			values, into := make([]any, len(names)), make([]any, len(names))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, fmt.Sprintf("%q", values))
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		rows.Close()
		slices.Sort(lines)
		sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
		out[name] = fmt.Sprint(len(lines), " rows ", hex.EncodeToString(sum[:8]))
	}
	return out
}

func column(t *testing.T, d *db.DB, query string) (out []string) {
	t.Helper()
	rows, err := d.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// background are tables that the cloud writes by itself.
var background = []string{"outbox", "toolkit_servers", "toolkit_roles", "toolkit_facts", "compute_services", "compute_hosts", "blockstorage_services", "hoststate_accepted", "goose"}

// TestStrangersStoreNothing (SEC-27): whatever is asked without a token, with a
// bad one or with a wrong password leaves no row behind.
func TestStrangersStoreNothing(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	cloud.RunTasks()
	before := digest(t, cloud.DB)
	anonymous, forged := cloud.Anonymous(), *cloud.Anonymous()
	forged.Token = "gAAAAABforged"
	asked := 0
	for _, line := range cloud.Routes() {
		words := strings.Fields(line)
		prefix := map[string]string{"keystone": "/identity", "nova": "/compute", "cinder": "/volume", "glance": "/image", "neutron": "/networking", "placement": "/placement", "swift": ""}
		under, known := prefix[words[0]]
		if !known {
			continue
		}
		path := words[2]
		for _, part := range strings.Split(path, "/") {
			if strings.HasPrefix(part, "{") {
				path = strings.Replace(path, part, "admin", 1)
			}
		}
		for _, c := range []*testcloud.Client{anonymous, &forged} {
			if a := c.Do(words[1], under+path, "{}"); a.Status >= 500 && a.Status != 501 {
				t.Errorf("%s %s: %d %s", words[1], path, a.Status, a.Body)
			}
			asked++
		}
	}
	if asked < 1000 {
		t.Errorf("only %d requests were made", asked)
	}
	for _, user := range []string{"demo", "nobody"} {
		body := fmt.Sprintf(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":%q,"password":"wrong","domain":{"id":"default"}}}}}}`, user)
		anonymous.Do("POST", "/identity/v3/auth/tokens", body).Expect(401)
	}
	anonymous.Get("/auth/v1.0", "X-Auth-User", "demo:demo", "X-Auth-Key", "wrong").Expect(401)
	after := digest(t, cloud.DB)
	for name, was := range before {
		if is := after[name]; is != was && !slices.ContainsFunc(background, func(b string) bool { return strings.HasPrefix(name, b) }) {
			t.Errorf("table %s had %s, has %s", name, was, is)
		}
	}
}
