package servers

import (
	"context"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/listing"
)

// inGroups lists members, oldest first, by their group.
func inGroups(ctx context.Context, q db.Querier, groups []string) (map[string][]string, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	values := make([]any, len(groups))
	for i, g := range groups {
		values[i] = g
	}
	rows, err := serverRows.Find(ctx, q, listing.Term{Column: "group_id", Values: values})
	out := map[string][]string{}
	for _, r := range rows {
		out[r.GroupID] = append(out[r.GroupID], r.ID)
	}
	return out, err
}

func leaveGroup(ctx context.Context, tx *db.Tx, group string) error {
	members, err := inGroups(ctx, tx, []string{group})
	if err != nil {
		return err
	}
	for _, id := range members[group] {
		one, err := lockServer(ctx, tx, id)
		if err != nil {
			return err
		}
		one.GroupID = ""
		if err := put(ctx, tx, one); err != nil {
			return err
		}
	}
	return nil
}

// neighbours counts the other members of a server's group on each host. A
// member that moves, or may yet be taken back, counts at both ends.
func neighbours(ctx context.Context, q db.Querier, one *Server) (map[string]int, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, host FROM compute_servers WHERE group_id = $1 AND id <> $2 AND host <> ''
		UNION SELECT s.id, m.source_host FROM compute_servers s JOIN compute_migrations m ON m.server = s.id AND m.unsettled WHERE s.group_id = $1 AND s.id <> $2
		UNION SELECT s.id, m.dest_host FROM compute_servers s JOIN compute_migrations m ON m.server = s.id AND m.unsettled WHERE s.group_id = $1 AND s.id <> $2 AND m.dest_host <> ''`,
		one.GroupID, one.ID)
	if err != nil {
		return nil, db.Translate(err, "find the members of a group")
	}
	defer rows.Close()
	out := map[string]int{}
	for rows.Next() {
		var member, host string
		if err := rows.Scan(&member, &host); err != nil {
			return nil, db.Translate(err, "find the members of a group")
		}
		out[host]++
	}
	return out, db.Translate(rows.Err(), "find the members of a group")
}
