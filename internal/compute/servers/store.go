package servers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// Server is a server with what only this package keeps of it. Rows hold it as
// JSON without what is zero, which is most of it: lists read them by the thousand.
type Server struct {
	compute.Server
	Defined bool         `json:",omitzero"` // part of what its host should have
	Desired guest.Power  `json:",omitzero"` // what the host should make of it while it is defined
	Files   []guest.File `json:",omitzero"` // personality

	Leave Leave `json:",omitzero"` // of the host to run it for the first time

	KeepBlank bool `json:",omitzero"` // the rebuild to the present BuildSerial kept the blank disks

	read *indexed // as its row was read; nil: it was not
}

// indexed is what seldom changes of a row and costs an index each time that it is written.
type indexed struct{ host, group string }

// row is a server as stored: columns to filter and sort by, and everything as JSON.
type row struct {
	ID            string          `db:"id"`
	Serial        int64           `db:"serial"`
	ProjectID     string          `db:"project_id"`
	UserID        string          `db:"user_id"`
	Name          string          `db:"name"`
	Hostname      string          `db:"hostname"`
	Description   string          `db:"description"`
	Host          string          `db:"host"`
	Zone          string          `db:"zone"`
	Status        string          `db:"status"`
	VMState       string          `db:"vm_state"`
	TaskState     string          `db:"task_state"`
	PowerState    int64           `db:"power_state"`
	ImageID       string          `db:"image_id"`
	FlavorID      string          `db:"flavor_id"`
	VCPUs         int64           `db:"vcpus"`
	MemoryMiB     int64           `db:"memory_mib"`
	DiskGiB       int64           `db:"disk_gib"`
	KeyName       string          `db:"key_name"`
	ReservationID string          `db:"reservation_id"`
	LaunchIndex   int64           `db:"launch_index"`
	GroupID       string          `db:"group_id"`
	ConfigDrive   bool            `db:"config_drive"`
	Locked        bool            `db:"locked"`
	Progress      int64           `db:"progress"`
	AccessIPv4    string          `db:"access_ip_v4"`
	AccessIPv6    string          `db:"access_ip_v6"`
	CreatedAt     int64           `db:"created_at"`
	UpdatedAt     int64           `db:"updated_at"`
	LaunchedAt    int64           `db:"launched_at"`
	Defined       bool            `db:"defined"`
	Data          db.JSON[Server] `db:"data"`
}

var serverRows = db.NewTable[row]("compute_servers", "id", "Instance")

func toRow(s *Server) *row {
	s.Status = compute.StatusOf(s.VM, s.Task)
	f := s.Flavor
	return &row{ID: s.ID, Serial: s.Serial, ProjectID: s.ProjectID, UserID: s.UserID, Name: s.Name, Hostname: s.Hostname, Description: s.Description,
		Host: s.Host, Zone: s.Zone, Status: string(s.Status), VMState: string(s.VM), TaskState: string(s.Task), PowerState: int64(s.Power),
		ImageID: s.ImageID, FlavorID: f.ID, VCPUs: int64(f.VCPUs), MemoryMiB: int64(f.MemoryMiB), DiskGiB: int64(f.RootGiB + f.EphemGiB),
		KeyName: s.KeyName, ReservationID: s.ReservationID, LaunchIndex: int64(s.LaunchIndex), GroupID: s.GroupID, ConfigDrive: s.ConfigDrive, Locked: s.Locked,
		Progress: int64(s.Progress), AccessIPv4: s.AccessIPv4, AccessIPv6: s.AccessIPv6, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt,
		LaunchedAt: s.LaunchedAt, Defined: s.Defined, Data: db.J(*s)}
}

// whole is how a server is read: it is in one column with all that it has.
type whole struct {
	ID        string          `db:"id"`
	CreatedAt int64           `db:"created_at"`
	Data      db.JSON[Server] `db:"data"`
}

var wholeRows = db.NewTable[whole]("compute_servers", "id", "Instance")

func (r *row) server() *Server { return filled(&r.Data.V) }

func filled(s *Server) *Server {
	if s.Metadata == nil {
		s.Metadata = map[string]string{}
	}
	return s
}

// Pseudo columns of lists, made into conditions by store.List.
const (
	colTagsAll    = "@tags"
	colTagsAny    = "@tags-any"
	colNotTagsAll = "@not-tags"
	colNotTagsAny = "@not-tags-any"
)

type store struct{ db *db.DB }

func notFound(id string) error {
	return fault.NotFoundf("Instance %s could not be found.", id)
}

// List loads servers by the order and conditions of q.
func (s store) List(ctx context.Context, q listing.Query) ([]*Server, error) {
	var extra []db.Cond
	where := q.Where[:0:0]
	for _, t := range q.Where {
		if cond, ok := tagCondition(t); ok {
			extra = append(extra, cond...)
			continue
		}
		where = append(where, t)
	}
	q.Where = where
	return wholeServers(wholeRows.List(ctx, s.db, q, extra...))
}

// tagCondition reads a term on tags: all of them, any, not all, not any.
func tagCondition(t listing.Term) ([]db.Cond, bool) {
	const has, lacks = "id IN (SELECT server FROM compute_server_tags WHERE tag = ?)", "id NOT IN (SELECT server FROM compute_server_tags WHERE tag = ?)"
	switch t.Column {
	case colTagsAll:
		return each(has, t.Values), true
	case colTagsAny:
		return anyOf(has, t.Values), true
	case colNotTagsAny:
		return each(lacks, t.Values), true
	case colNotTagsAll:
		return anyOf(lacks, t.Values), true
	}
	return nil, false
}

func each(text string, values []any) []db.Cond {
	var out []db.Cond
	for _, v := range values {
		out = append(out, db.Cond{SQL: text, Args: []any{v}})
	}
	return out
}

func anyOf(text string, values []any) []db.Cond {
	return []db.Cond{{SQL: strings.Join(slices.Repeat([]string{text}, len(values)), " OR "), Args: values}}
}

// Get loads one server by its id.
func (s store) Get(ctx context.Context, id string) (*Server, error) { return getServer(ctx, s.db, id) }

func getServer(ctx context.Context, q db.Querier, id string) (*Server, error) {
	r, err := wholeRows.Get(ctx, q, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(id)
	}
	if err != nil {
		return nil, err
	}
	return filled(&r.Data.V), nil
}

// lockServer loads a server that the transaction is going to change.
func lockServer(ctx context.Context, tx *db.Tx, id string) (*Server, error) {
	r, err := wholeRows.GetForUpdate(ctx, tx, id)
	if fault.Is(err, fault.NotFound) {
		return nil, notFound(id)
	}
	if err != nil {
		return nil, err
	}
	one := filled(&r.Data.V)
	one.read = &indexed{one.Host, one.GroupID}
	return one, nil
}

func insertServer(ctx context.Context, tx *db.Tx, s *Server) error {
	if err := serverRows.Insert(ctx, tx, toRow(s)); err != nil {
		return err
	}
	return addTags(ctx, tx, s)
}

// put writes a server back, with the status that follows from its states.
func put(ctx context.Context, tx *db.Tx, s *Server) error {
	r, unchanged := toRow(s), []string{"serial", "project_id", "user_id", "reservation_id", "launch_index", "created_at"}
	if s.read != nil && s.read.host == r.Host {
		unchanged = append(unchanged, "host")
	}
	if s.read != nil && s.read.group == r.GroupID {
		unchanged = append(unchanged, "group_id")
	}
	if err := serverRows.Update(ctx, tx, r, unchanged...); err != nil {
		return err
	}
	s.read = &indexed{r.Host, r.GroupID}
	return nil
}

func putTags(ctx context.Context, tx *db.Tx, s *Server) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM compute_server_tags WHERE server = $1", s.ID); err != nil {
		return db.Translate(err, "clear tags")
	}
	return addTags(ctx, tx, s)
}

func addTags(ctx context.Context, tx *db.Tx, s *Server) error {
	for _, tag := range s.Tags {
		if _, err := tx.ExecContext(ctx, "INSERT INTO compute_server_tags (server, tag) VALUES ($1, $2)", s.ID, tag); err != nil {
			return db.Translate(err, "write tags")
		}
	}
	return nil
}

func deleteServer(ctx context.Context, tx *db.Tx, id string) error {
	return serverRows.Delete(ctx, tx, id)
}

func eq(column string, value any) listing.Term {
	return listing.Term{Column: column, Op: listing.Eq, Values: []any{value}}
}

// definedOn loads the servers that are part of what a host should have.
func definedOn(ctx context.Context, q db.Querier, host string, which ...listing.Term) ([]*Server, error) {
	return wholeServers(wholeRows.List(ctx, q, listing.Query{Where: append(which, eq("host", host), eq("defined", true)), Order: []listing.Order{{Column: "id"}}}))
}

// busySince loads the servers whose task has not moved since a time. The words
// are those of an index.
func (s store) busySince(ctx context.Context, before int64) ([]*Server, error) {
	return wholeServers(wholeRows.List(ctx, s.db, listing.Query{}.And("updated_at", listing.Less, before), db.Cond{SQL: "task_state <> ''"}))
}

// brief is what reports of a host are compared with.
type brief struct {
	VM    compute.VMState
	Power compute.PowerState
}

// briefs are the servers that a host should have and that have no task: all, or
// some by their ids.
func briefs(ctx context.Context, q db.Querier, host string, ids ...string) (map[string]brief, error) {
	statement, args := "SELECT id, vm_state, power_state FROM compute_servers WHERE host = $1 AND defined = $2 AND task_state = $3", []any{host, true, ""}
	if len(ids) > 0 {
		marks := make([]string, len(ids))
		for i, id := range ids {
			args = append(args, id)
			marks[i] = fmt.Sprintf("$%d", len(args))
		}
		statement += " AND id IN (" + strings.Join(marks, ", ") + ")"
	}
	rows, err := q.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, db.Translate(err, "look at a host's servers")
	}
	defer rows.Close()
	out := map[string]brief{}
	for rows.Next() {
		var id string
		var b brief
		if err := rows.Scan(&id, &b.VM, &b.Power); err != nil {
			return nil, db.Translate(err, "look at a host's servers")
		}
		out[id] = b
	}
	return out, db.Translate(rows.Err(), "look at a host's servers")
}

// onHost loads the servers placed on a host.
func onHost(ctx context.Context, q db.Querier, host string) ([]*Server, error) {
	return wholeServers(wholeRows.Find(ctx, q, eq("host", host)))
}

func wholeServers(rows []*whole, err error) ([]*Server, error) {
	out := make([]*Server, len(rows))
	for i, r := range rows {
		out[i] = filled(&r.Data.V)
	}
	return out, err
}

// ProjectUsage is what quotas count.
type ProjectUsage struct{ Instances, Cores, MemoryMiB int64 }

// ProjectUse adds up the servers of a project, as a transaction sees them.
func ProjectUse(ctx context.Context, q db.Querier, project string) (u ProjectUsage, err error) {
	err = q.QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(vcpus), 0), COALESCE(SUM(memory_mib), 0) FROM compute_servers WHERE project_id = $1",
		project).Scan(&u.Instances, &u.Cores, &u.MemoryMiB)
	return u, db.Translate(err, "add up a project's servers")
}

// hostUse adds up what the servers of each host take.
func hostUse(ctx context.Context, q db.Querier) (map[string]Use, error) {
	rows, err := q.QueryContext(ctx, `SELECT host, SUM(vcpus), SUM(memory_mib), SUM(disk_gib), COUNT(*),
		SUM(CASE WHEN task_state <> '' THEN 1 ELSE 0 END) FROM compute_servers WHERE host <> '' GROUP BY host`)
	if err != nil {
		return nil, db.Translate(err, "add up hosts")
	}
	defer rows.Close()
	out := map[string]Use{}
	for rows.Next() {
		var host string
		var u Use
		if err := rows.Scan(&host, &u.CPUs, &u.MemoryMiB, &u.DiskGiB, &u.Servers, &u.Busy); err != nil {
			return nil, db.Translate(err, "add up hosts")
		}
		out[host] = u
	}
	if err := db.Translate(rows.Err(), "add up hosts"); err != nil {
		return nil, err
	}
	held, err := heldBy(ctx, q)
	for host, more := range held {
		u := out[host]
		u.CPUs, u.MemoryMiB, u.DiskGiB = u.CPUs+more.CPUs, u.MemoryMiB+more.MemoryMiB, u.DiskGiB+more.DiskGiB
		out[host] = u
	}
	return out, err
}
