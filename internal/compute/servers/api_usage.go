package servers

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleUsages = prefix + "os-simple-tenant-usage:list"
	ruleUsage  = prefix + "os-simple-tenant-usage:show"
)

func usageRules() []policy.Rule {
	return []policy.Rule{
		{Name: ruleUsages, Check: policy.Admin, Scopes: []string{"project"}, Description: "Report the usage of all projects."},
		{Name: ruleUsage, Check: policy.ProjectReaderOrAdmin, Scopes: []string{"project"}, Description: "Report the usage of a project."},
	}
}

func (a *api) usageRoutes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/v2.1/os-simple-tenant-usage", Rule: ruleUsages, Query: rest.Known(compute.StrictEverywhere, "start", "end", "detailed", "limit", "marker"), Handle: a.usages},
		{Method: "GET", Path: "/v2.1/os-simple-tenant-usage/{project}", Rule: ruleUsage, Object: true, Query: rest.Known(compute.StrictEverywhere, "start", "end", "limit", "marker"), Handle: a.usage},
	}
}

func noMarker(marker string) error { return fault.Invalidf("marker [%s] not found", marker) }

// period is what a usage report covers, and which page of it is asked for.
type period struct {
	start, stop time.Time
	marker      string
	limit       int
}

func (a *api) period(c *rest.Call) (p period, err error) {
	now := a.s.Clock.Now().UTC()
	read := func(name string) (time.Time, error) {
		text := c.Values().Get(name)
		if text == "" {
			return now, nil
		}
		for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
			if at, err := time.Parse(layout, text); err == nil {
				return at, nil
			}
		}
		return now, fault.Invalidf("Invalid datetime string: Datetime is in invalid format")
	}
	if p.start, err = read("start"); err != nil {
		return p, err
	}
	now = now.Add(time.Microsecond) // neither given is an empty time, not a wrong one
	if p.stop, err = read("end"); err != nil {
		return p, err
	}
	if !p.start.Before(p.stop) {
		return p, fault.Invalidf("Invalid start time. The start time cannot occur after the end time.")
	}
	if p.stop.After(now) {
		p.stop = now
	}
	p.limit = math.MaxInt
	if !c.At(compute.UsagePaging) {
		return p, nil
	}
	p.limit, p.marker = 1000, c.Values().Get("marker")
	if text := c.Values().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return p, fault.Invalidf("Invalid input for query parameters limit. Value: %s", text)
		}
		if n > 0 {
			p.limit = min(n, 1000)
		}
	}
	return p, nil
}

// report adds up lives by project, in the order of projects.
func (a *api) report(p period, lives []life, detailed bool) []map[string]any {
	now := clock.Micros(a.s.Clock.Now())
	start, stop := clock.Micros(p.start), clock.Micros(p.stop)
	out := []map[string]any{}
	var cur map[string]any
	for _, l := range lives {
		if cur == nil || cur["tenant_id"] != l.ProjectID {
			cur = map[string]any{"tenant_id": l.ProjectID, "total_local_gb_usage": 0.0, "total_vcpus_usage": 0.0, "total_memory_mb_usage": 0.0,
				"total_hours": 0.0, "start": usageTime(start), "stop": usageTime(stop)}
			if detailed {
				cur["server_usages"] = []map[string]any{}
			}
			out = append(out, cur)
		}
		to, until := stop, now
		if l.EndedAt != 0 {
			to, until = min(stop, l.EndedAt), l.EndedAt
		}
		hours := float64(max(to-max(start, l.LaunchedAt), 0)) / float64(time.Hour.Microseconds())
		for key, size := range map[string]int{"total_hours": 1, "total_local_gb_usage": l.DiskGiB, "total_vcpus_usage": l.VCPUs, "total_memory_mb_usage": l.MemoryMiB} {
			cur[key] = cur[key].(float64) + hours*float64(size)
		}
		if detailed {
			cur["server_usages"] = append(cur["server_usages"].([]map[string]any), map[string]any{"instance_id": l.ID, "name": l.Name, "flavor": l.Flavor,
				"hours": hours, "vcpus": l.VCPUs, "memory_mb": l.MemoryMiB, "local_gb": l.DiskGiB, "tenant_id": l.ProjectID, "state": l.State,
				"started_at": usageTime(l.LaunchedAt), "ended_at": usageTime(l.EndedAt), "uptime": (until - l.LaunchedAt) / 1_000_000})
		}
	}
	return out
}

func (a *api) usages(c *rest.Call) (rest.Reply, error) {
	if path, _, _ := strings.Cut(c.Request.RequestURI, "?"); strings.HasSuffix(path, "/") {
		return rest.Reply{}, fault.NotFoundf("The resource could not be found.") // a project without an id
	}
	p, err := a.period(c)
	if err != nil {
		return rest.Reply{}, err
	}
	lives, err := a.s.store.lives(c.Context(), "", clock.Micros(p.start), clock.Micros(p.stop), p.marker, p.limit)
	if err != nil {
		return rest.Reply{}, err
	}
	body := map[string]any{"tenant_usages": a.report(p, lives, c.Values().Get("detailed") == "1")}
	nextUsage(c, p, lives, "tenant_usages_links", body)
	return rest.OK(body)
}

func nextUsage(c *rest.Call, p period, lives []life, name string, body map[string]any) {
	if !c.At(compute.UsagePaging) || len(lives) < p.limit {
		return
	}
	next := c.Request.URL.Query()
	next.Set("marker", lives[len(lives)-1].ID)
	body[name] = []map[string]string{{"rel": "next", "href": c.Root() + c.Request.URL.Path + "?" + next.Encode()}}
}

func (a *api) usage(c *rest.Call) (rest.Reply, error) {
	project := c.Var("project")
	if err := c.Authorize(policy.Target{"project_id": project}); err != nil {
		return rest.Reply{}, err
	}
	p, err := a.period(c)
	if err != nil {
		return rest.Reply{}, err
	}
	lives, err := a.s.store.lives(c.Context(), project, clock.Micros(p.start), clock.Micros(p.stop), p.marker, p.limit)
	if err != nil {
		return rest.Reply{}, err
	}
	usage := map[string]any{}
	if all := a.report(p, lives, true); len(all) > 0 {
		usage = all[0]
	}
	body := map[string]any{"tenant_usage": usage}
	nextUsage(c, p, lives, "tenant_usage_links", body)
	return rest.OK(body)
}
