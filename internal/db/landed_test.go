package db_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
)

// frozen is the first number of migrations that were added one by one. Those
// before are the schema that the first of them found.
const frozen = "00100"

// A migration that has landed does not change: somebody's database has run it. A
// new one comes with its line in testdata/landed.txt.
func TestLandedMigrationsDoNotChange(t *testing.T) {
	text, err := os.ReadFile("testdata/landed.txt")
	if err != nil {
		t.Fatal(err)
	}
	landed := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		sum, name, _ := strings.Cut(line, "  ")
		landed[name] = sum
	}
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal("no migrations", err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sum, name := sha256.Sum256(content), filepath.Base(file)
		seen[name] = true
		switch want := landed[name]; want {
		case hex.EncodeToString(sum[:]):
		case "":
			t.Errorf("%s is new: add its line to testdata/landed.txt (sha256sum migrations/%s), and a data test to TestMigrationsKeepData", name, name)
		default:
			t.Errorf("%s has changed since it landed: write a new migration instead", name)
		}
	}
	for name := range landed {
		if !seen[name] {
			t.Errorf("%s has landed and is gone", name)
		}
	}
}

// contracting is what a program of the version before could not live with. It can
// without an index that serves no query.
var contracting = regexp.MustCompile(`(?i)\b(DROP|RENAME|ALTER\s+COLUMN|SET\s+NOT\s+NULL|DELETE|TRUNCATE)\b`)

// Until there is a way to finalize an upgrade, migrations only add: so the program
// before goes on with the schema after, and rolling back is starting it.
func TestMigrationsOnlyExpand(t *testing.T) {
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if filepath.Base(file) < frozen {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(content), "-- +goose Down")
		for _, line := range strings.Split(up, "\n") {
			statement, _, _ := strings.Cut(line, "--")
			statement = strings.ReplaceAll(statement, "ON DELETE CASCADE", "") // of a new table: it takes no rows but that table's
			if contracting.MatchString(statement) && !strings.HasPrefix(statement, "DROP INDEX ") {
				t.Errorf("%s: %s: this cannot be rolled back", file, strings.TrimSpace(line))
			}
			if strings.Contains(strings.ToUpper(statement), "ADD COLUMN") && strings.Contains(strings.ToUpper(statement), "NOT NULL") && !strings.Contains(strings.ToUpper(statement), "DEFAULT") {
				t.Errorf("%s: %s: the program before inserts rows without it", file, strings.TrimSpace(line))
			}
		}
	}
}

// dataTests say what a migration must keep, one per migration from frozen on: put
// writes rows into the schema before, check looks at them in the schema after.
var dataTests = map[int64]struct{ put, check string }{
	100: {"INSERT INTO hoststate_revisions (host, section, revision) VALUES ('h', 'guests', 7)", "SELECT COUNT(*) FROM hoststate_revisions WHERE revision = 7"},
	105: {"UPDATE identity_epoch SET generation = 41", "SELECT COUNT(*) FROM identity_epoch WHERE generation = 41"},
	110: {"INSERT INTO compute_console_tokens (hash, server_id, build, kind, expires_at, used) VALUES ('h', 's', 1, 'novnc', 9, false)", "SELECT COUNT(*) FROM compute_console_tokens WHERE hash = 'h' AND build = 1"},
	112: {"INSERT INTO blockstorage_volumes (id, project_id, user_id, name, no_name, description, no_description, size, status, before, type_id, zone, host, kept, move_to, bootable, multiattach, read_only, transient, metadata, image_meta, snapshot_id, source_volid, image_id, image_format, backup_id, relic_id, group_id, epoch, rewrite, migration, error, created_at, updated_at) VALUES ('v', '', '', '', false, '', false, 3, '', '', '', '', 'h', true, '', false, false, '', false, '', '', '', '', '', '', '', '', '', 3, '', '', '', 3, 3)", "SELECT COUNT(*) FROM blockstorage_volumes WHERE kept AND host = 'h' AND size = 3"},
	120: {"INSERT INTO network_shares (id, project_id, name, description, revision, created_at, updated_at, tags, object_type, object_id, action, target) VALUES ('s', 'p', '', '', 0, 1, 1, '', 'network', 'n', 'access_as_shared', '*')", "SELECT COUNT(*) FROM network_shares WHERE object_id = 'n' AND target = '*'"},
	130: {"INSERT INTO hoststate_revisions (host, section, revision) VALUES ('h2', 'ports', 8)", "SELECT COUNT(*) FROM hoststate_revisions WHERE host = 'h2' AND revision = 8"},
	140: {"INSERT INTO hoststate_revisions (host, section, revision) VALUES ('h3', 'ports', 9)", "SELECT COUNT(*) FROM hoststate_revisions WHERE host = 'h3' AND revision = 9"},
	150: {"INSERT INTO hoststate_revisions (host, section, revision) VALUES ('h4', 'ports', 9)", "SELECT COUNT(*) FROM hoststate_revisions WHERE host = 'h4' AND revision = 9"},
	155: {"INSERT INTO placement_classes (name, created_at) VALUES ('CUSTOM_LAMP', 5)", "SELECT COUNT(*) FROM placement_classes WHERE name = 'CUSTOM_LAMP' AND created_at = 5"},
	160: {"INSERT INTO hoststate_revisions (host, section, revision) VALUES ('h6', 'ports', 9)", "SELECT COUNT(*) FROM hoststate_revisions WHERE host = 'h6' AND revision = 9"},
	161: {"INSERT INTO network_rule_templates (id, project_id, name, description, revision, created_at, updated_at, tags, direction, ethertype, protocol, port_min, port_max, remote_group_id, remote_ip_prefix, address_group_id, in_default, in_others) VALUES ('t', '', '', '', 0, 0, 0, '[]', 'egress', 'IPv4', 'tcp', -1, -1, '', '', '', true, true)", "SELECT COUNT(*) FROM network_rule_templates WHERE id = 't'"},
	162: {"INSERT INTO outbox_records (id, created_at, sequence, body, hash) VALUES ('o', 5, 0, '{}', '')", "SELECT COUNT(*) FROM outbox_records WHERE id = 'o' AND sequence = 0"},
	171: {"INSERT INTO hoststate_revisions (host, section, revision) VALUES ('h7', 'ports', 9)", "SELECT COUNT(*) FROM hoststate_revisions WHERE host = 'h7' AND revision = 9"},
	190: {"INSERT INTO compute_aggregates (id, serial, name, zone, hosts, metadata, created_at, updated_at) VALUES ('a', 1, 'n', '', '[\"h\"]', '{}', 1, 0)", "SELECT COUNT(*) FROM compute_aggregates WHERE hosts = '[\"h\"]'"},
	180: {"INSERT INTO identity_projects (id, name, description, enabled, is_domain, options, extra, created_at) VALUES ('d', 'd', '', true, true, '{}', '{}', 5)", "SELECT COUNT(*) FROM identity_projects WHERE id = 'd' AND is_domain"},
	191: {"INSERT INTO image_tasks (id, image_id, owner, user_id, request_id, type, status, message, input, created_at, updated_at) VALUES ('k', 'i', 'o', '', '', 'import', 'success', '', '{}', 1, 2)", "SELECT COUNT(*) FROM image_tasks WHERE id = 'k' AND input = '{}'"},
	200: {"INSERT INTO network_groups (id, project_id, name, description, revision, created_at, updated_at, tags, stateful) VALUES ('g', 'p', 'n', '', 0, 1, 1, '[]', false)", "SELECT COUNT(*) FROM network_groups WHERE id = 'g' AND NOT stateful"},
	185: {"INSERT INTO identity_projects (id, name, description, enabled, is_domain, options, extra, created_at) VALUES ('e', 'e', '', true, true, '{}', '{}', 5); INSERT INTO identity_users (id, name, domain_id, default_project_id, enabled, options, extra, created_at, last_active, password_hash, password_created_at, password_expires_at, password_self, failures, last_failure) VALUES ('u', 'n', 'e', '', true, '{}', '{}', 5, 0, 'h', 0, 0, false, 0, 0)", "SELECT COUNT(*) FROM identity_users WHERE name = 'n' AND password_hash = 'h'"},
	201: {"INSERT INTO network_routers (id, project_id, name, description, revision, created_at, updated_at, tags, admin_state_up, gateway_network_id, gateway_port_id, enable_snat, routes, gateway_qos_policy_id, zone_hints) VALUES ('r', 'p', 'n', '', 0, 1, 1, '[]', true, 'x', '', true, '[]', '', '[]')", "SELECT COUNT(*) FROM network_routers WHERE id = 'r' AND gateway_network_id = 'x'"},
	202: {"INSERT INTO network_scopes (id, project_id, name, description, revision, created_at, updated_at, tags, ip_version) VALUES ('c', 'p', 'n', '', 0, 1, 1, '[]', 6)", "SELECT COUNT(*) FROM network_scopes WHERE id = 'c' AND ip_version = 6"},
	115: {"INSERT INTO joining_hosts (name, key_hash, joined_at, renewed_at) VALUES ('h', 'k', 1, 2)", "SELECT COUNT(*) FROM joining_hosts WHERE key_hash = 'k'"},
}

// Each migration, with data in the schema before it: there afterwards, there after
// a rollback, there after the second upgrade. And the program of the schema before
// opens the schema after.
func TestMigrationsKeepData(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		versions, err := d.Versions()
		must(t, err)
		for i, v := range versions {
			if v < 100 {
				continue
			}
			test, ok := dataTests[v]
			if !ok {
				t.Errorf("migration %d has no data test", v)
				continue
			}
			must(t, d.MigrateTo(ctx, versions[i-1]))
			exec(t, d, test.put)
			for _, step := range []struct {
				name string
				to   int64
			}{{"upgrade", v}, {"rollback", versions[i-1]}, {"second upgrade", v}} {
				must(t, d.MigrateTo(ctx, step.to))
				var n int
				must(t, d.QueryRowContext(ctx, test.check).Scan(&n))
				if n != 1 {
					t.Errorf("migration %d: %d rows after %s", v, n, step.name)
				}
			}
			must(t, d.UpAs(ctx, versions[i-1])) // an older program starts on a newer schema
		}
	})
}

func exec(t *testing.T, d *db.DB, query string) {
	t.Helper()
	must(t, d.Write(t.Context(), func(tx *db.Tx) error { _, err := tx.ExecContext(t.Context(), query); return err }))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
