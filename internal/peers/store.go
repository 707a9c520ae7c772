package peers

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
)

// row is a server as the database has it.
type row struct {
	name, instance, url, hosts string
	beat                       int64
}

// beat writes this server's row and reads everybody's.
// Conflict when another process beats under its name. first takes the row over
// from a process before.
func (p *Peers) beat(ctx context.Context, hosts string, first bool) (all []row, err error) {
	err = p.db.Write(ctx, func(tx *db.Tx) error {
		all = nil
		done, err := tx.ExecContext(ctx, `INSERT INTO toolkit_servers (name, instance, url, hosts, beat) VALUES ($1, $2, $3, $4, 1)
			ON CONFLICT (name) DO UPDATE SET instance = excluded.instance, url = excluded.url, hosts = excluded.hosts, beat = toolkit_servers.beat + 1
			WHERE toolkit_servers.instance = excluded.instance OR $5 = 1`, p.self.Name, p.self.Instance, p.self.URL, hosts, number(first))
		if err != nil {
			return db.Translate(err, "beat")
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, fault.Conflictf("another server of this cloud is named %q: give each a host_name of its own", p.self.Name))
		}
		all, err = list(ctx, tx)
		return err
	})
	return all, err
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func list(ctx context.Context, q db.Querier) (all []row, err error) {
	rows, err := q.QueryContext(ctx, "SELECT name, instance, url, hosts, beat FROM toolkit_servers")
	if err != nil {
		return nil, db.Translate(err, "list servers")
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.name, &r.instance, &r.url, &r.hosts, &r.beat); err != nil {
			return nil, db.Translate(err, "list servers")
		}
		all = append(all, r)
	}
	return all, db.Translate(rows.Err(), "list servers")
}

// leave removes this server's row, so that the others need not wait.
func (p *Peers) leave(ctx context.Context) error {
	return p.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM toolkit_servers WHERE name = $1 AND instance = $2", p.self.Name, p.self.Instance)
		return db.Translate(err, "leave")
	})
}

// seize takes a role if nobody holds it, or one of the dead does.
func (p *Peers) seize(ctx context.Context, role string, dead func(owner string) bool) (owner string, err error) {
	err = p.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO toolkit_roles (role, owner) VALUES ($1, $2) ON CONFLICT (role) DO NOTHING", role, p.self.Name)
		if err != nil {
			return db.Translate(err, "seize role")
		}
		if owner, err = roleOwner(ctx, tx, role); err != nil || owner == p.self.Name || !dead(owner) {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE toolkit_roles SET owner = $1 WHERE role = $2 AND owner = $3", p.self.Name, role, owner)
		if err != nil {
			return db.Translate(err, "seize role")
		}
		owner, err = roleOwner(ctx, tx, role)
		return err
	})
	return owner, err
}

func (p *Peers) hold(ctx context.Context, role string) error {
	return p.db.Write(ctx, func(tx *db.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO toolkit_roles (role, owner) VALUES ($1, $2) ON CONFLICT (role) DO UPDATE SET owner = excluded.owner", role, p.self.Name)
		return db.Translate(err, "hold role")
	})
}

func roleOwner(ctx context.Context, q db.Querier, role string) (owner string, err error) {
	err = q.QueryRowContext(ctx, "SELECT owner FROM toolkit_roles WHERE role = $1", role).Scan(&owner)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return owner, db.Translate(err, "read role")
}

// pack and unpack turn a list of hosts into a column: names hold no newline.
func pack(hosts []string) string {
	hosts = slices.Clone(hosts)
	slices.Sort(hosts)
	return strings.Join(hosts, "\n")
}

func unpack(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
