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
		"SELECT id FROM network_ports WHERE network_id = 'n' AND device_owner = 'network:distributed' ORDER BY created_at ASC, id ASC":                                                          "network_ports_owner",
		"SELECT host, SUM(size) FROM blockstorage_volumes WHERE kept GROUP BY host":                                                                                                             "COVERING INDEX blockstorage_volumes_kept",
		"SELECT id FROM compute_servers WHERE project_id = 'p' ORDER BY created_at DESC, id DESC LIMIT 100":                                                                                     "compute_servers_project",
		"SELECT id FROM network_ports WHERE project_id = 'p' ORDER BY created_at ASC, id ASC LIMIT 100":                                                                                         "network_ports_listed",
		"SELECT id FROM network_ports WHERE network_id IN (SELECT id FROM network_networks WHERE project_id = 'p') AND project_id < 'p' ORDER BY created_at, id LIMIT 100":                      "network_ports_foreign (network_id=? AND project_id<?)",
		"SELECT id FROM network_networks WHERE project_id <> 'p' AND id IN (SELECT object_id FROM network_shares WHERE target IN ('*', 'p')) ORDER BY created_at, id LIMIT 100":                 "network_shares_target",
		"SELECT id FROM network_networks WHERE project_id = 'p' ORDER BY created_at ASC, id ASC LIMIT 100":                                                                                      "network_networks_listed",
		"SELECT id FROM image_images WHERE visibility = 'public' ORDER BY created_at DESC, id DESC LIMIT 100":                                                                                   "image_images_visibility",
		"SELECT id FROM image_images WHERE owner = 'p' AND owner <> '' AND visibility <> 'public' AND (visibility <> 'community' OR (owner = 'p')) ORDER BY created_at DESC, id DESC LIMIT 100": "image_images_owner",
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
