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

// The programs that clients of this API look for.
const (
	binaryAPI       = "cinder-api"
	binaryScheduler = "cinder-scheduler"
	binaryVolume    = "cinder-volume"
	binaryBackup    = "cinder-backup"
)

func (a *API) services(c *rest.Call) (rest.Reply, error) {
	list, err := a.pools.Pools(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	doors, err := a.doors.all(c.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	all := []map[string]any{a.service(c, binaryScheduler, a.server, true, door{}), a.service(c, binaryBackup, a.server, true, door{})}
	for _, p := range list {
		all = append(all, a.service(c, binaryVolume, p.Host+"@mek", p.Alive, doors[p.Host]))
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

func (a *API) service(c *rest.Call, binary, host string, up bool, d door) map[string]any {
	out := map[string]any{"binary": binary, "host": host, "zone": blockstorage.Zone, "status": word(!d.Disabled, "enabled", "disabled"), "state": word(up, "up", "down"),
		"updated_at": blockstorage.TimeSeconds(a.clock.Now()), "disabled_reason": blockstorage.NullIfEmpty(d.Reason)}
	if c.At(blockstorage.Clusters) {
		out["cluster"] = nil
	}
	if binary == binaryVolume {
		out["frozen"], out["replication_status"], out["active_backend_id"] = d.Frozen, "disabled", nil
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
		if err := a.setDoor(c, host, func(d *door) error { d.Disabled, d.Reason = !open, reason; return nil }); err != nil {
			return rest.Reply{}, err
		}
		out := map[string]any{"host": in.Host, "service": binary, "binary": binary, "disabled": !open, "status": word(open, "enabled", "disabled")}
		if needReason {
			out["disabled_reason"] = reason
		}
		return rest.OK(out)
	}
}

// setDoor changes what is said of a host, with an audit record.
func (a *API) setDoor(c *rest.Call, host string, f func(d *door) error) error {
	record, now := c.Event("service", host, ""), clock.Micros(a.clock.Now())
	return a.doors.db.Write(c.Context(), func(tx *db.Tx) error {
		if err := a.doors.change(c.Context(), tx, host, now, f); err != nil {
			return err
		}
		return outbox.Write(c.Context(), tx, record)
	})
}

// volumeHost finds the host that a request about a service names.
func (a *API) volumeHost(c *rest.Call, binary, host string) (string, error) {
	if (binary == binaryScheduler || binary == binaryBackup) && host == a.server {
		return "", fault.New(fault.NotImplemented, "%s is part of the server and cannot be switched off.", binary)
	}
	pools, err := a.pools.Pools(c.Context())
	if err != nil {
		return "", err
	}
	name, _, _ := strings.Cut(host, "@")
	for _, p := range pools {
		if p.Host == name && (binary == binaryVolume || binary == "") {
			return name, nil
		}
	}
	return "", fault.NotFoundf("Service %s could not be found on host %s.", binary, host)
}

// backendBody names a host, or from 3.26 a cluster; there are no clusters here.
type backendBody struct {
	Host    rest.Opt[string] `json:"host" v:"max=255"`
	Cluster rest.Opt[string] `json:"cluster" v:"max=255"`
	Backend rest.Opt[string] `json:"backend_id" v:"max=255"`
}

// backend finds the host that a request about a back end names.
func (a *API) backend(c *rest.Call, in *backendBody, clusters bool) (string, error) {
	if err := c.Decode(in); err != nil {
		return "", err
	}
	switch {
	case clusters && in.Cluster.V != "" && in.Host.V != "":
		return "", fault.Invalidf("Invalid input received: Host and cluster cannot be given together.")
	case clusters && in.Cluster.V != "":
		return "", fault.Invalidf("Invalid input received: Cluster %s could not be found.", in.Cluster.V)
	case in.Host.V == "":
		return "", fault.Invalidf("Invalid input received: Host field is missing.")
	}
	host, err := a.volumeHost(c, binaryVolume, in.Host.V)
	if fault.Is(err, fault.NotFound) {
		err = fault.Invalidf("Invalid input received: No service found with host=%s", in.Host.V)
	}
	return host, err
}

// freeze keeps new volumes from a host, or lets them come again.
func (a *API) freeze(frozen bool) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		var in backendBody
		host, err := a.backend(c, &in, c.At(blockstorage.ReplicationCluster))
		if err != nil {
			return rest.Reply{}, err
		}
		err = a.setDoor(c, host, func(d *door) error {
			if d.Frozen == frozen {
				return fault.Invalidf("Invalid input received: No service could be changed: frozen in %s must be %v", in.Host.V, !frozen)
			}
			d.Frozen = frozen
			return nil
		})
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(nil)
	}
}

// failover: no host is replicated, so none can fail over.
func (a *API) failover(c *rest.Call) (rest.Reply, error) {
	var in backendBody
	if _, err := a.backend(c, &in, c.At(blockstorage.ReplicationCluster)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{}, fault.Invalidf("Invalid input received: No service could be changed: replication_status in %s must be enabled or failed-over and must be up to failover.", in.Host.V)
}

type logBody struct {
	Binary rest.Opt[string] `json:"binary" v:"enum=|*|cinder-api|cinder-volume|cinder-scheduler|cinder-backup"`
	Server rest.Opt[string] `json:"server" v:"max=255"`
	Prefix rest.Opt[string] `json:"prefix" v:"max=255"`
	Level  rest.Opt[string] `json:"level"`
}

// logged lists the programs of a request that are part of this server. The
// logs of hosts are the agents' own.
func (a *API) logged(in *logBody) []string {
	var out []string
	if in.Server.V != "" && in.Server.V != a.server {
		return nil
	}
	for _, binary := range []string{binaryAPI, binaryScheduler, binaryBackup} {
		if b := in.Binary.V; b == "" || b == "*" || b == binary {
			out = append(out, binary)
		}
	}
	return out
}

// logPrefix is what the one logger of the server is called here.
const logPrefix = "mek"

func (a *API) getLog(c *rest.Call) (rest.Reply, error) {
	var in logBody
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	out := []map[string]any{}
	for _, binary := range a.logged(&in) {
		levels := map[string]string{}
		if strings.HasPrefix(logPrefix, in.Prefix.V) {
			levels[logPrefix] = a.level.Level()
		}
		out = append(out, map[string]any{"binary": binary, "host": a.server, "levels": levels})
	}
	return rest.OK(map[string]any{"log_levels": out})
}

func (a *API) setLog(c *rest.Call) (rest.Reply, error) {
	var in logBody
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if in.Level.V == "" {
		return rest.Reply{}, fault.Invalidf("Invalid input received: level must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL")
	}
	if len(a.logged(&in)) > 0 && strings.HasPrefix(logPrefix, in.Prefix.V) {
		if err := a.level.SetLevel(in.Level.V); err != nil {
			return rest.Reply{}, err
		}
	}
	return rest.Accepted(nil)
}
