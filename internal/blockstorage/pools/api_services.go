package pools

import (
	"strings"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/outbox"
	"github.com/mekcloud/mek/internal/rest"
)

func (a *API) services(c *rest.Call) (rest.Reply, error) {
	list, err := a.pools.Pools(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	closed, err := a.doors.Closed(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	all := []map[string]any{a.service(c, "cinder-scheduler", a.server, true)}
	for _, p := range list {
		view := a.service(c, "cinder-volume", p.Host+"@mek", p.Alive)
		if reason, ok := closed[p.Host]; ok {
			view["status"], view["disabled_reason"] = "disabled", blockstorage.NullIfEmpty(reason)
		}
		all = append(all, view)
	}
	out := []map[string]any{}
	for _, s := range all {
		binary, host := c.Values().Get("binary"), c.Values().Get("host")
		if (binary == "" || s["binary"] == binary) && (host == "" || s["host"] == host || strings.HasPrefix(s["host"].(string), host+"@")) {
			out = append(out, s)
		}
	}
	return rest.OK(map[string]any{"services": out})
}

func (a *API) service(c *rest.Call, binary, host string, up bool) map[string]any {
	out := map[string]any{"binary": binary, "host": host, "zone": blockstorage.Zone, "status": "enabled", "state": word(up, "up", "down"),
		"updated_at": blockstorage.TimeSeconds(a.clock.Now()), "disabled_reason": nil}
	if c.At(blockstorage.Clusters) {
		out["cluster"] = nil
	}
	if binary == "cinder-volume" {
		out["frozen"], out["replication_status"], out["active_backend_id"] = false, "disabled", nil
		if c.At(blockstorage.BackendState) {
			out["backend_state"] = word(up, "up", "down")
		}
	}
	return out
}

type serviceBody struct {
	Host    string           `json:"host" v:"required,min=1,max=255"`
	Service rest.Opt[string] `json:"service" v:"max=255"`
	Binary  rest.Opt[string] `json:"binary" v:"max=255"`
	Reason  rest.Opt[string] `json:"disabled_reason" v:"max=255"`
	Cluster rest.Opt[string] `json:"cluster"`
}

// switchService opens a host for new volumes or closes it.
func (a *API) switchService(open, needReason bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		var in serviceBody
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
		reason := strings.TrimSpace(in.Reason.V)
		if needReason && reason == "" {
			return rest.Reply{}, fault.Invalidf("Missing required element 'disabled_reason' in request body.")
		}
		binary := in.Binary.Or(in.Service.V)
		host, err := a.volumeHost(c, binary, in.Host)
		if err != nil {
			return rest.Reply{}, err
		}
		record, now := c.Event("service", in.Host, ""), clock.Micros(a.clock.Now())
		err = a.doors.db.Write(c.Context(), func(tx *db.Tx) error {
			err := a.doors.open(c.Context(), tx, host)
			if !open {
				err = a.doors.shut(c.Context(), tx, host, reason, now)
			}
			if err != nil {
				return err
			}
			return outbox.Write(c.Context(), tx, record)
		})
		if err != nil {
			return rest.Reply{}, err
		}
		out := map[string]any{"host": in.Host, "service": binary, "binary": binary, "disabled": !open, "status": word(open, "enabled", "disabled")}
		if needReason {
			out["disabled_reason"] = reason
		}
		return rest.OK(out)
	}
}

// volumeHost finds the host that a request about a service names.
func (a *API) volumeHost(c *rest.Call, binary, host string) (string, error) {
	if binary == "cinder-scheduler" && host == a.server {
		return "", fault.New(fault.NotImplemented, "The scheduler is part of the server and cannot be switched off.")
	}
	pools, err := a.pools.Pools(c.Context())
	if err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(host, "@")
	for _, p := range pools {
		if p.Host == name && (binary == "cinder-volume" || binary == "") {
			return name, nil
		}
	}
	return "", fault.NotFoundf("Service %s could not be found on host %s.", binary, host)
}
