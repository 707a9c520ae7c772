package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/id"
)

const insertServer = `INSERT INTO compute_servers (id, serial, project_id, user_id, name, hostname, description, host, zone, status, vm_state, task_state,
	power_state, image_id, flavor_id, vcpus, memory_mib, disk_gib, key_name, reservation_id, launch_index, group_id, config_drive, locked, progress,
	access_ip_v4, access_ip_v6, created_at, updated_at, launched_at, defined, data)
	VALUES ($1, $2, $3, $4, $5, $5, '', 'sim-1', 'nova', 'ACTIVE', 'active', '', 1, $6, $7, 1, 64, 1, '', $8, 0, '', FALSE, FALSE, 0, '', '', $9, $9, $9, TRUE, $10)`

const listServers = `SELECT id, name, status, host, user_id, project_id, image_id, flavor_id, created_at, updated_at, launched_at, data
	FROM compute_servers WHERE project_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1000`

// server has the members of a server's details.
type server struct {
	ID        string               `json:"id"`
	Name      string               `json:"name"`
	Status    string               `json:"status"`
	TenantID  string               `json:"tenant_id"`
	UserID    string               `json:"user_id"`
	Metadata  map[string]string    `json:"metadata"`
	HostID    string               `json:"hostId"`
	Image     ref                  `json:"image"`
	Flavor    flavor               `json:"flavor"`
	Created   string               `json:"created"`
	Updated   string               `json:"updated"`
	Addresses map[string][]address `json:"addresses"`
	AccessV4  string               `json:"accessIPv4"`
	AccessV6  string               `json:"accessIPv6"`
	Links     []link               `json:"links"`
	Disk      string               `json:"OS-DCF:diskConfig"`
	Zone      string               `json:"OS-EXT-AZ:availability_zone"`
	Drive     string               `json:"config_drive"`
	Key       *string              `json:"key_name"`
	Launched  string               `json:"OS-SRV-USG:launched_at"`
	Ended     *string              `json:"OS-SRV-USG:terminated_at"`
	Host      string               `json:"OS-EXT-SRV-ATTR:host"`
	Instance  string               `json:"OS-EXT-SRV-ATTR:instance_name"`
	Node      string               `json:"OS-EXT-SRV-ATTR:hypervisor_hostname"`
	Task      *string              `json:"OS-EXT-STS:task_state"`
	VM        string               `json:"OS-EXT-STS:vm_state"`
	Power     int                  `json:"OS-EXT-STS:power_state"`
	Volumes   []ref                `json:"os-extended-volumes:volumes_attached"`
	Groups    []map[string]string  `json:"security_groups"`
}

type (
	ref    struct{ ID string }
	link   struct{ Rel, Href string }
	flavor struct {
		ID    string `json:"id"`
		Links []link `json:"links"`
	}
	address struct {
		Version int    `json:"version"`
		Addr    string `json:"addr"`
		Type    string `json:"OS-EXT-IPS:type"`
		MAC     string `json:"OS-EXT-IPS-MAC:mac_addr"`
	}
)

// answers measures what the largest answers cost when nothing is decided.
func (m *machine) answers(ctx context.Context) error {
	d, err := db.Open(ctx, "sqlite://"+filepath.Join(m.dir, "answers.db"))
	if err != nil {
		return err
	}
	defer d.Close()
	data := `{"metadata":{},"networks":[{"uuid":"` + id.New() + `"}],"padding":"` + strings.Repeat("x", 700) + `"}`
	project := id.New()
	err = d.Write(ctx, func(tx *db.Tx) error {
		for i := range 1000 {
			if _, err := tx.ExecContext(ctx, insertServer, id.New(), i, project, id.New(), fmt.Sprint("server-", i), id.New(), id.New(), id.New(), i, data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = m.time("list-1000", "one query for 1,000 servers of a project, and the JSON of their details (encoding/json, typed)", func() error {
		return list(ctx, d, project)
	})
	if err != nil {
		return err
	}
	answer := candidates(1000)
	return m.time("candidates-1000", "the JSON of 1,000 allocation candidates (encoding/json, typed)", func() error {
		return json.NewEncoder(io.Discard).Encode(answer)
	})
}

func list(ctx context.Context, d *db.DB, project string) error {
	rows, err := d.QueryContext(ctx, listServers, project)
	if err != nil {
		return err
	}
	defer rows.Close()
	out := make([]server, 0, 1000)
	const at, self = "2026-01-01T00:00:00Z", "http://127.0.0.1:8443/compute/v2.1/servers/"
	for rows.Next() {
		var s server
		var image, kind, data string
		var created, updated, launched int64
		if err := rows.Scan(&s.ID, &s.Name, &s.Status, &s.Host, &s.UserID, &s.TenantID, &image, &kind, &created, &updated, &launched, &data); err != nil {
			return err
		}
		s.Image, s.Flavor = ref{image}, flavor{kind, []link{{"bookmark", self + kind}}}
		s.Links = []link{{"self", self + s.ID}, {"bookmark", self + s.ID}}
		s.Created, s.Updated, s.Launched, s.VM, s.Power, s.HostID = at, at, at, "active", 1, s.UserID
		s.Addresses = map[string][]address{"private": {{4, "10.0.0.1", "fixed", "fa:16:3e:00:00:01"}}}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if len(out) != 1000 {
		return fmt.Errorf("%d rows", len(out))
	}
	return json.NewEncoder(io.Discard).Encode(map[string]any{"servers": out})
}

type (
	resources struct {
		VCPU   int `json:"VCPU"`
		Memory int `json:"MEMORY_MB"`
		Disk   int `json:"DISK_GB"`
	}
	allocation struct {
		Resources resources `json:"resources"`
	}
	capacity struct {
		Capacity int `json:"capacity"`
		Used     int `json:"used"`
	}
	summary struct {
		Resources map[string]capacity `json:"resources"`
		Traits    []string            `json:"traits"`
		Parent    *string             `json:"parent_provider_uuid"`
		Root      string              `json:"root_provider_uuid"`
	}
	request struct {
		Allocations map[string]allocation `json:"allocations"`
	}
)

// candidates is an answer with n hosts.
func candidates(n int) any {
	requests, summaries := make([]request, n), make(map[string]summary, n)
	for i := range n {
		host := id.New()
		requests[i] = request{map[string]allocation{host: {resources{1, 512, 1}}}}
		summaries[host] = summary{Resources: map[string]capacity{"VCPU": {256, 0}, "MEMORY_MB": {261632, 0}, "DISK_GB": {2000, 0}}, Traits: []string{}, Root: host}
	}
	return map[string]any{"allocation_requests": requests, "provider_summaries": summaries}
}
