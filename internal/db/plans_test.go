package db_test

import (
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db/dbtest"
)

// What hosts and new servers ask most must not look at every row of a large
// network or cloud: SQLite says which index it takes.
func TestPlansOfHotQueries(t *testing.T) {
	d := dbtest.SQLite(t)
	for query, index := range map[string]string{
		"SELECT id FROM network_ports WHERE network_id = 'n' AND device_owner = 'network:distributed' AND device_owner LIKE 'network:%' ORDER BY created_at ASC, id ASC":                        "network_ports_owner (network_id=? AND device_owner=?)",
		"SELECT id, status FROM network_ports WHERE host = 'h' AND host <> ''":                                                                                                                  "network_ports_host",
		"SELECT DISTINCT host FROM network_ports WHERE host <> '' ORDER BY host":                                                                                                                "COVERING INDEX network_ports_host",
		"SELECT id FROM network_ports WHERE device_id = 's' AND device_id <> '' ORDER BY created_at ASC, id ASC":                                                                                "network_ports_device",
		"SELECT id FROM network_ports p WHERE p.device_id IN (SELECT value FROM json_each('[]')) AND p.device_id <> ''":                                                                         "network_ports_device",
		"SELECT id FROM network_subnets WHERE pool_id = 'p' AND pool_id <> '' ORDER BY created_at ASC, id ASC":                                                                                  "network_subnets_pool",
		"SELECT id FROM network_rules WHERE remote_group_id = 'g' AND remote_group_id <> '' ORDER BY created_at ASC, id ASC":                                                                    "network_rules_remote",
		"DELETE FROM network_rules WHERE remote_group_id = 'g' AND remote_group_id <> ''":                                                                                                       "network_rules_remote",
		"SELECT COUNT(*) FROM network_rules WHERE address_group_id = 'g' AND address_group_id <> ''":                                                                                            "network_rules_address_group",
		"SELECT COALESCE(MAX(position) + 1, 0) FROM network_addresses WHERE port_id = 'p'":                                                                                                      "COVERING INDEX network_addresses_of (port_id=?)",
		"SELECT class, CAST(SUM(used) AS bigint) FROM placement_allocations WHERE provider = 'p' GROUP BY class":                                                                                "COVERING INDEX placement_allocations_used",
		"SELECT host, SUM(size) FROM blockstorage_volumes WHERE kept GROUP BY host":                                                                                                             "COVERING INDEX blockstorage_volumes_kept",
		"SELECT id FROM compute_servers WHERE project_id = 'p' ORDER BY created_at DESC, id DESC LIMIT 100":                                                                                     "compute_servers_project",
		"SELECT id FROM network_ports WHERE project_id = 'p' ORDER BY created_at ASC, id ASC LIMIT 100":                                                                                         "network_ports_listed",
		"SELECT id FROM network_ports WHERE network_id IN (SELECT id FROM network_networks WHERE project_id = 'p') AND project_id < 'p' ORDER BY created_at, id LIMIT 100":                      "network_ports_foreign (network_id=? AND project_id<?)",
		"SELECT id FROM network_networks WHERE project_id <> 'p' AND id IN (SELECT object_id FROM network_shares WHERE target IN ('*', 'p')) ORDER BY created_at, id LIMIT 100":                 "network_shares_target",
		"SELECT id FROM network_networks WHERE project_id = 'p' ORDER BY created_at ASC, id ASC LIMIT 100":                                                                                      "network_networks_listed",
		"SELECT id FROM image_images WHERE visibility = 'public' ORDER BY created_at DESC, id DESC LIMIT 100":                                                                                   "image_images_visibility",
		"SELECT id FROM image_images WHERE owner = 'p' AND owner <> '' AND visibility <> 'public' AND (visibility <> 'community' OR (owner = 'p')) ORDER BY created_at DESC, id DESC LIMIT 100": "image_images_owner",
		"SELECT COUNT(*) FROM network_networks WHERE project_id = 'p'":                                                                                                                          "network_networks_listed",
		"SELECT COUNT(*) FROM network_ports WHERE project_id = 'p'":                                                                                                                             "network_ports_listed",
		"SELECT * FROM blockstorage_volumes WHERE host = 'h'":                                                                                                                                   "blockstorage_volumes_kept",
		"SELECT COUNT(*) FROM blockstorage_volumes WHERE (source_volid = 'v' OR snapshot_id = 'v' AND snapshot_id <> '') AND status IN ('creating', 'downloading')":                             "blockstorage_volumes_snapshot",
		"SELECT * FROM blockstorage_volumes WHERE host = 'h' AND error = 'e'":                                                                                                                   "blockstorage_volumes_",
		"SELECT id FROM compute_servers WHERE updated_at < 3 AND task_state <> ''":                                                                                                              "compute_servers_busy",
		"SELECT id FROM compute_disks WHERE server IN (SELECT value FROM json_each('[]')) AND (volume_id <> '') ORDER BY position ASC, id ASC":                                                  "compute_disks_volumes",
	} {
		rows, err := d.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
		must(t, err)
		var plan strings.Builder
		for rows.Next() {
			var a, b, c int
			var detail string
			must(t, rows.Scan(&a, &b, &c, &detail))
			plan.WriteString(detail + "\n")
		}
		must(t, rows.Err())
		rows.Close()
		if !strings.Contains(plan.String(), index) {
			t.Errorf("%s does not use %s:\n%s", query, index, plan.String())
		}
	}
}

// TestNoIndexIsSpare: an index whose columns another one begins with serves no query
// that the other does not, and each row that is added writes a page of it.
func TestNoIndexIsSpare(t *testing.T) {
	d := dbtest.SQLite(t)
	rows, err := d.QueryContext(t.Context(), `SELECT m.name, i.name, i."unique", (SELECT GROUP_CONCAT(COALESCE(name, 'of ' || i.name)) FROM (SELECT name FROM PRAGMA_INDEX_INFO(i.name) ORDER BY seqno))
		FROM sqlite_master m JOIN PRAGMA_INDEX_LIST(m.name) i WHERE m.type = 'table' AND NOT i.partial`)
	must(t, err)
	defer rows.Close()
	type index struct {
		name, columns string
		unique        bool
	}
	all := map[string][]index{}
	for rows.Next() {
		var table string
		var one index
		must(t, rows.Scan(&table, &one.name, &one.unique, &one.columns))
		all[table] = append(all[table], one)
	}
	must(t, rows.Err())
	if len(all) < 50 {
		t.Errorf("only %d tables with indexes", len(all))
	}
	for table, list := range all {
		for _, a := range list {
			for _, b := range list {
				if a.name != b.name && !a.unique && strings.HasPrefix(b.columns+",", a.columns+",") {
					t.Errorf("%s: %s (%s) is spare: there is %s (%s)", table, a.name, a.columns, b.name, b.columns)
				}
			}
		}
	}
}
