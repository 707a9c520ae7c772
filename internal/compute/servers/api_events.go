package servers

import (
	"context"
	"net/http"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleEvents   = prefix + "os-server-external-events:create"
	ruleTopology = "compute:server:topology:index"
	ruleNodes    = "compute:server:topology:host:index"
)

func eventRules() []policy.Rule {
	return []policy.Rule{
		{Name: ruleEvents, Check: policy.ServiceOrAdmin, Scopes: []string{"project"}, Description: "Tell compute what happened to servers' ports and volumes."},
		{Name: ruleTopology, Check: policy.ProjectReaderOrAdmin, Scopes: []string{"project"}, Description: "Show a server's NUMA topology."},
		{Name: ruleNodes, Check: policy.Admin, Scopes: []string{"project"}, Description: "Show a server's NUMA topology with its host's."},
	}
}

func (a *api) eventRoutes() []rest.Route {
	return []rest.Route{
		{Method: "POST", Path: "/v2.1/os-server-external-events", Rule: ruleEvents, Audit: "create", Handle: a.events},
		{Method: "GET", Path: "/v2.1/servers/{id}/topology", Rule: ruleTopology, Object: true, Since: compute.ServerTopology, Handle: a.topology},
	}
}

// externalEvents are the names of events, and since when each is known.
var externalEvents = map[string]microversion.Version{"network-changed": compute.MinVersion, "network-vif-plugged": compute.MinVersion,
	"network-vif-unplugged": compute.MinVersion, "network-vif-deleted": compute.MinVersion, "volume-extended": compute.EventUpdatedAt,
	"power-update": compute.PowerUpdate, "accelerator-request-bound": compute.AcceleratorBound}

type externalEvent struct {
	Name   string `json:"name" v:"required"`
	Server string `json:"server_uuid" v:"required,uuid"`
	Status string `json:"status" v:"enum=failed|completed|in-progress"`
	Tag    string `json:"tag" v:"max=255"`
}

func (a *api) events(c *rest.Call) (rest.Reply, error) {
	var in struct {
		Events []externalEvent `json:"events" v:"required,min=1"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	out, status, accepted := []map[string]any{}, http.StatusOK, 0
	for _, e := range in.Events {
		since, known := externalEvents[e.Name]
		if !known || !c.At(since) {
			return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute name. Value: %s. It is not one of the known events", e.Name)
		}
	}
	for _, e := range in.Events {
		code, err := a.s.external(c.Context(), e)
		if err != nil {
			return rest.Reply{}, err
		}
		view := map[string]any{"name": e.Name, "server_uuid": e.Server, "status": "completed", "code": code}
		if e.Tag != "" {
			view["tag"] = e.Tag
		}
		if code == http.StatusOK {
			accepted++
		} else {
			view["status"], status = "failed", http.StatusMultiStatus
		}
		out = append(out, view)
	}
	if accepted == 0 {
		return rest.Reply{}, fault.NotFoundf("No instances found for any event")
	}
	record := c.Event("server", "", "")
	if err := a.s.audit(c.Context(), record); err != nil {
		return rest.Reply{}, err
	}
	return rest.Answer(status, map[string]any{"events": out})
}

// external takes one event, and answers its code. What networks and volumes
// did is asked of them anew, never believed: the host is rendered again. The
// hypervisor tells power states itself.
func (s *Servers) external(ctx context.Context, e externalEvent) (int, error) {
	one, err := s.store.Get(ctx, e.Server)
	switch {
	case isGone(err):
		return http.StatusNotFound, nil
	case err != nil:
		return 0, err
	case e.Tag == "" && (e.Name == "volume-extended" || e.Name == "power-update" || e.Name == "accelerator-request-bound"):
		return http.StatusBadRequest, nil
	case one.Host == "":
		return http.StatusUnprocessableEntity, nil
	}
	if e.Name == "volume-extended" {
		return http.StatusOK, s.extended(ctx, one, e.Tag)
	}
	err = s.DB.Write(ctx, func(tx *db.Tx) error {
		_, err := s.raise(ctx, tx, one.Host, one.ID)
		return err
	})
	return http.StatusOK, err
}

// extended looks at how large a volume is now, and grows the guest's disk.
func (s *Servers) extended(ctx context.Context, one *Server, volumeID string) error {
	v, err := s.Volumes.Lookup(ctx, viewerOf(one), volumeID)
	if isGone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.Extended(ctx, one.ID, volumeID, event.ActorOf(ctx).RequestID, v.SizeGiB)
}

// topology answers for servers without NUMA nodes of their own: all of them.
func (a *api) topology(c *rest.Call) (rest.Reply, error) {
	if _, err := a.find(c); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"nodes": []any{}, "pagesize_kb": nil})
}
