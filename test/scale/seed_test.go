package scale

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/hostlink"
	"github.com/mekcloud/mek/internal/testcloud"
)

// perProject is how many servers a project of a seeded cloud has.
const perProject = 1000

// TestSeeded is TestScale for sizes that no API could fill in a day's work: the
// first server is made by the API, and the others are copies of its rows in every
// table, made by the database itself. Hosts are light ones that hold what they should have.
func TestSeeded(t *testing.T) {
	if os.Getenv("MEK_SCALE") == "" || os.Getenv("MEK_SCALE_SEEDED") == "" {
		t.Skip("make scale runs it")
	}
	f := &field{t: t, hosts: setting(t, "MEK_SCALE_HOSTS", 10_000), servers: setting(t, "MEK_SCALE_SERVERS", 1_000_000), single: setting(t, "MEK_SCALE_SINGLE", 2000)}
	f.about = fmt.Sprintf("%d hosts, %d servers, whose rows are copies of one", f.hosts, f.servers)
	all := newFleet(f.hosts)
	begun := time.Now()
	f.cloud = testcloud.With(t, all, boundless)
	f.cloud.Breaks()
	f.settle("joined")
	note(t, single("scale/join", "s", time.Since(begun).Seconds(), f.about+": first start until every host is known"))
	f.prepare()
	f.seed(all)
	note(t, single("scale/hosts", "hosts", float64(f.hosts), f.about), single("scale/servers", "servers", float64(f.active()), f.about))
	f.since = time.Now().UnixMicro() // copies are older
	f.restart()
	debug.FreeOSMemory()
	note(t, single("scale/memory", "MiB", resident(t, "VmRSS:"), f.about+": resident, of server, light hosts and load in one process"))
	f.load()
	note(t, single("scale/peak-memory", "MiB", resident(t, "VmHWM:"), f.about+": the most so far"))
}

// template is what the first server has, by which copies differ.
type template struct{ server, port, disk, mac, address, host, provider, network, subnet, project string }

// seed makes copies of one server until there are enough.
func (f *field) seed(all *fleet) {
	f.t.Helper()
	ctx := context.Background()
	body := f.must(f.create(ctx, 0, 1))
	var made struct{ Server struct{ ID string } }
	if err := json.Unmarshal(body, &made); err != nil {
		f.t.Fatal(err)
	}
	f.await(1)
	o := template{server: made.Server.ID}
	f.one("SELECT host, project_id FROM compute_servers WHERE id = '"+o.server+"'", &o.host, &o.project)
	f.one("SELECT id FROM compute_disks WHERE server = '"+o.server+"'", &o.disk)
	f.one("SELECT id, mac_address, network_id FROM network_ports WHERE device_id = '"+o.server+"'", &o.port, &o.mac, &o.network)
	f.one("SELECT id FROM network_subnets WHERE network_id = '"+o.network+"'", &o.subnet)
	f.one("SELECT address FROM network_addresses WHERE port_id = '"+o.port+"'", &o.address)
	f.one("SELECT id FROM compute_hosts WHERE name = '"+o.host+"'", &o.provider)
	begun := time.Now()
	f.names(o)
	f.copyAll(o)
	all.Leave() // nobody tells them anything meanwhile
	f.heldBySeed(all)
	f.do("DROP TABLE scale_seed")
	f.do("DROP TABLE scale_hosts")
	f.t.Logf("%d servers' rows after %v", f.servers, time.Since(begun).Round(time.Second))
}

func (f *field) one(query string, into ...any) {
	f.t.Helper()
	if err := f.cloud.DB.QueryRowContext(context.Background(), query).Scan(into...); err != nil {
		f.t.Fatalf("%s: %v", query, err)
	}
}

func (f *field) do(statement string) {
	f.t.Helper()
	err := f.cloud.DB.Write(context.Background(), func(tx *db.Tx) error {
		_, err := tx.ExecContext(context.Background(), statement)
		return err
	})
	if err != nil {
		f.t.Fatalf("%.300s: %v", statement, err)
	}
}

// names says for each copy what is its own. Server n is on the host after that of
// server n-1.
func (f *field) names(o template) {
	f.t.Helper()
	f.do("CREATE TABLE scale_hosts (n integer PRIMARY KEY, name text, provider text)")
	f.do("INSERT INTO scale_hosts SELECT row_number() OVER (ORDER BY serial) - 1, name, id FROM compute_hosts")
	f.do("CREATE TABLE scale_seed (n integer PRIMARY KEY, server text, port text, disk text, mac text, address text, host text, provider text, network text, subnet text, project text)")
	networks := map[string]string{}
	for _, id := range f.networks {
		var subnet string
		f.one("SELECT id FROM network_subnets WHERE network_id = '"+id+"'", &subnet)
		networks[id] = subnet
	}
	projects := max(1, f.servers/perProject)
	for i, id := range f.networks {
		third := f.unused(networks[id])
		from, until := i*perNetwork, min((i+1)*perNetwork, f.servers)
		f.do(fmt.Sprintf(`WITH RECURSIVE k(n) AS (SELECT %d UNION ALL SELECT n + 1 FROM k WHERE n + 1 < %d)
			INSERT INTO scale_seed SELECT k.n, printf('%%08x-5eed-4000-8000-%%012x', k.n, k.n), printf('%%08x-9047-4000-8000-%%012x', k.n, k.n), printf('%%08x-d15c-4000-8000-%%012x', k.n, k.n),
			printf('fa:17:3e:%%02x:%%02x:%%02x', k.n >> 16 & 255, k.n >> 8 & 255, k.n & 255), printf('10.%d.%%d.%%d', %d + (k.n %% %d) / 250, 2 + k.n %% 250),
			h.name, h.provider, '%s', '%s', CASE WHEN k.n %% %d = 0 THEN '%s' ELSE printf('%%032x', 1048576 + k.n %% %d) END
			FROM k JOIN scale_hosts h ON h.n = k.n %% %d WHERE k.n > 0 AND k.n < %d`,
			from, until, i%250, third, perNetwork, id, networks[id], projects, o.project, projects, f.hosts, until))
	}
}

// unused is where in a subnet there is room for the addresses of copies: a third
// byte from which on none of those that are in use lies.
func (f *field) unused(subnet string) int {
	used := f.texts("SELECT address FROM network_addresses WHERE subnet_id = '" + subnet + "'")
	for _, third := range []int{2, 90, 170} {
		if !slices.ContainsFunc(used, func(text string) bool {
			a, err := netip.ParseAddr(text)
			at := int(a.As4()[2])
			return err != nil || at >= third && at < third+perNetwork/250
		}) {
			return third
		}
	}
	f.t.Fatalf("subnet %s is too full", subnet)
	return 0
}

// copyAll copies the rows that speak of the first server, of all tables but those
// of what was done and is over: the outbox, finished tasks, answers kept for repeats.
func (f *field) copyAll(o template) {
	f.t.Helper()
	for _, table := range f.tables() {
		if strings.HasPrefix(table, "toolkit_") || strings.HasPrefix(table, "task_") || strings.HasPrefix(table, "scale_") || strings.HasPrefix(table, "outbox") || strings.HasPrefix(table, "answers") {
			continue
		}
		columns := f.columns(table)
		var mentions []string
		for _, c := range columns {
			mentions = append(mentions, fmt.Sprintf("CAST(%s AS text) LIKE '%%%s%%' OR CAST(%s AS text) LIKE '%%%s%%'", c, o.server, c, o.port))
		}
		var n int
		f.one("SELECT count(*) FROM "+table+" WHERE "+strings.Join(mentions, " OR "), &n)
		if n == 0 {
			continue
		}
		begun := time.Now()
		f.do("CREATE TABLE scale_original AS SELECT * FROM " + table + " WHERE " + strings.Join(mentions, " OR "))
		var values []string
		for _, c := range columns {
			values = append(values, f.value(o, table, c))
		}
		const step = 50_000
		for from := 0; from < f.servers; from += step {
			f.do(fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM scale_seed s CROSS JOIN scale_original o WHERE s.n >= %d AND s.n < %d ORDER BY s.n",
				table, strings.Join(columns, ", "), strings.Join(values, ", "), from, from+step))
		}
		f.do("DROP TABLE scale_original")
		f.t.Logf("%s: %d rows for each server, in %v", table, n, time.Since(begun).Round(100*time.Millisecond))
	}
}

// value is what a copy has in a column: what the first server has there, with
// names of its own in place of that one's.
func (f *field) value(o template, table, column string) string {
	switch table + "." + column {
	case "compute_servers.serial":
		return "1000000 + s.n"
	case "compute_servers.created_at", "compute_servers.updated_at":
		return "o." + column + " - 1000 * s.n"
	case "compute_servers.name":
		return "'s' || s.n"
	}
	out := "o." + column
	for _, pair := range [][2]string{{o.server, "s.server"}, {o.port, "s.port"}, {o.disk, "s.disk"}, {o.mac, "s.mac"}, {o.network, "s.network"}, {o.subnet, "s.subnet"}, {o.project, "s.project"}, {o.provider, "s.provider"}} {
		var n int
		f.one(fmt.Sprintf("SELECT count(*) FROM scale_original WHERE typeof(%s) = 'text' AND instr(%s, '%s') > 0", column, column, pair[0]), &n)
		if n > 0 {
			out = fmt.Sprintf("replace(%s, '%s', %s)", out, pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{o.address, "s.address"}, {o.host, "s.host"}} { // short: as a whole, or between quotes or blanks
		var n int
		f.one(fmt.Sprintf("SELECT count(*) FROM scale_original WHERE typeof(%s) = 'text' AND instr(%s, '%s') > 0", column, column, pair[0]), &n)
		if n > 0 {
			out = fmt.Sprintf("CASE WHEN o.%[1]s = '%[2]s' THEN %[3]s ELSE replace(replace(%[4]s, '\"%[2]s\"', '\"' || %[3]s || '\"'), ' %[2]s ', ' ' || %[3]s || ' ') END", column, pair[0], pair[1], out)
		}
	}
	var ids int
	f.one(fmt.Sprintf("SELECT count(*) FROM scale_original WHERE typeof(%s) = 'text' AND length(%s) = 36", column, column), &ids)
	if out == "o."+column && ids > 0 && (column == "id" || table == "compute_action_events" && column == "action") { // an id of the row's own: its end is the copy's number
		out = fmt.Sprintf("substr(o.%s, 1, 24) || printf('%%012x', s.n)", column)
	}
	return out
}

func (f *field) tables() []string {
	return f.texts("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%' ORDER BY rootpage")
}

func (f *field) columns(table string) []string {
	return f.texts("SELECT name FROM pragma_table_info('" + table + "')")
}

func (f *field) texts(query string) (out []string) {
	f.t.Helper()
	rows, err := f.cloud.DB.QueryContext(context.Background(), query)
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			f.t.Fatal(err)
		}
		out = append(out, text)
	}
	return out
}

// seededRevision is that of each section of a host of which copies were made.
const seededRevision = 1000

// heldBySeed has hosts hold what the copies give them: a digest that both sides
// have on file, and a report of each object.
func (f *field) heldBySeed(all *fleet) {
	f.t.Helper()
	byName := map[string]*light{}
	for _, l := range all.hosts {
		byName[l.name] = l
		for _, section := range []hostlink.Section{hostlink.Guests, hostlink.Ports} {
			l.sections[section] = &lightSection{held: hostlink.Held{Section: section}}
		}
	}
	rows, err := f.cloud.DB.QueryContext(context.Background(), "SELECT s.host, s.id, n.port_id FROM compute_servers s JOIN compute_nics n ON n.server = s.id ORDER BY s.id")
	if err != nil {
		f.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var host, server, port string
		if err := rows.Scan(&host, &server, &port); err != nil {
			f.t.Fatal(err)
		}
		sections := byName[host].sections
		sections[hostlink.Guests].seed(hostlink.ObjectReport{ID: server, Facts: factsOf(server, "running", 1)})
		sections[hostlink.Ports].seed(hostlink.ObjectReport{ID: port})
	}
	for section, member := range map[hostlink.Section]string{hostlink.Guests: "guests", hostlink.Ports: "ports"} {
		f.do(fmt.Sprintf("INSERT INTO hoststate_revisions (host, section, revision) SELECT name, '%[1]s', %[2]d FROM scale_hosts WHERE true ON CONFLICT (host, section) DO UPDATE SET revision = %[2]d", section, seededRevision))
		f.do("DELETE FROM hoststate_accepted WHERE section = '" + string(section) + "'")
		for some := range slices.Chunk(all.hosts, 100) {
			var values []string
			for _, l := range some {
				sec := l.sections[section]
				sec.sown(member)
				values = append(values, fmt.Sprintf("('%s', '%s', %d, '%s', 0)", l.name, section, seededRevision, sec.held.Digest))
			}
			f.do("INSERT INTO hoststate_accepted (host, section, revision, digest, epoch) VALUES " + strings.Join(values, ", ") + " ON CONFLICT (host, section) DO UPDATE SET revision = excluded.revision, digest = excluded.digest")
		}
	}
}

// seed adds an object that is done. What its text would be, the host need not know.
func (sec *lightSection) seed(o hostlink.ObjectReport) {
	o.Phase, o.Revision = hostlink.Ready, seededRevision
	sec.objects = append(sec.objects, o)
	sec.check += o.Check()
}

// sown makes the objects what the host holds.
func (sec *lightSection) sown(member string) {
	sec.objects = slices.Clip(sec.objects)
	slices.SortFunc(sec.objects, func(a, b hostlink.ObjectReport) int { return strings.Compare(a.ID, b.ID) })
	sec.listed = hostlink.Listed{Member: member, Objects: make([]hostlink.Listing, len(sec.objects))}
	for i, o := range sec.objects {
		sec.listed.Objects[i].ID = o.ID
	}
	sec.held = hostlink.Held{Section: sec.held.Section, Revision: seededRevision, Digest: sec.listed.Digest()}
}
