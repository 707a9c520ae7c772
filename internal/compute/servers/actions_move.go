package servers

import (
	"context"
	"strconv"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/scheduler"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/policy"
	"github.com/mekcloud/mek/internal/rest"
)

const (
	ruleResize      = prefix + "servers:resize"
	ruleConfirm     = prefix + "servers:confirm_resize"
	ruleRevert      = prefix + "servers:revert_resize"
	ruleMigrate     = prefix + "os-migrate-server:migrate"
	ruleMigrateHost = prefix + "os-migrate-server:migrate:host"
	ruleMigrateLive = prefix + "os-migrate-server:migrate_live"
	ruleLiveHost    = prefix + "os-migrate-server:migrate_live:host"
	ruleEvacuate    = prefix + "os-evacuate"
)

func moveRules() []policy.Rule {
	var out []policy.Rule
	add := func(check, description string, names ...string) {
		for _, n := range names {
			out = append(out, policy.Rule{Name: n, Check: check, Scopes: []string{"project"}, Description: description})
		}
	}
	add(policy.ProjectMemberOrAdmin, "Resize a server, and confirm or revert that.", ruleResize, ruleConfirm, ruleRevert)
	add(policy.ProjectManagerOrAdmin, "Move a server to another host.", ruleMigrate, ruleMigrateLive)
	add(policy.Admin, "Choose the host that a server is moved to.", ruleMigrateHost, ruleLiveHost, ruleEvacuate)
	return out
}

func (a *api) moveActions() map[string]rest.Action {
	return map[string]rest.Action{
		"resize":         {Rule: ruleResize, Handle: a.resize},
		"confirmResize":  {Rule: ruleConfirm, Audit: "confirm_resize", Handle: a.confirmResize},
		"revertResize":   {Rule: ruleRevert, Audit: "revert_resize", Handle: a.revertResize},
		"migrate":        {Rule: ruleMigrate, Handle: a.migrate},
		"os-migrateLive": {Rule: ruleMigrateLive, Audit: "migrate_live", Handle: a.migrateLive},
		"evacuate":       {Rule: ruleEvacuate, Handle: a.evacuate},
	}
}

func (a *api) resize(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		FlavorRef  any    `json:"flavorRef" v:"required"`
		DiskConfig string `json:"OS-DCF:diskConfig" v:"enum=AUTO|MANUAL"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	flavor, err := flavorRef(in.FlavorRef)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Resize(c.Context(), one.ID, flavor, in.DiskConfig, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// flavorRef reads a flavor's id, which may be written as a number.
func flavorRef(v any) (string, error) {
	switch v := v.(type) {
	case string:
		if v != "" {
			return v, nil
		}
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	}
	return "", fault.Invalidf("Invalid input for field/attribute flavorRef. Value: %v. It is neither a string nor an integer", v)
}

func (a *api) confirmResize(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.ConfirmResize(c.Context(), one.ID, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.NoContent()
}

func (a *api) revertResize(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.RevertResize(c.Context(), one.ID, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a *api) migrate(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Host rest.Opt[string] `json:"host" v:"min=1,max=255"`
	}
	if c.At(compute.MigrateHost) && string(c.Payload()) != "null" {
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
	}
	if in.Host.V != "" {
		if !c.Allow(ruleMigrateHost, target(&one.Server)) {
			return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow %s to be performed.", ruleMigrateHost)
		}
		if _, err := a.s.hostNamed(c.Context(), in.Host.V); err != nil {
			return rest.Reply{}, err
		}
	}
	if err := a.s.Migrate(c.Context(), one.ID, in.Host.V, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

// hostNamed finds a host that a request names; Invalid when there is none.
func (s *Servers) hostNamed(ctx context.Context, name string) (scheduler.Host, error) {
	h, found, err := s.Hosts.SchedulerHost(ctx, name)
	if err == nil && !found {
		err = fault.Invalidf("Compute host %s could not be found.", name)
	}
	return h, err
}

func (a *api) migrateLive(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Host           rest.Opt[string] `json:"host" v:"required,min=1,max=255"`
		BlockMigration any              `json:"block_migration" v:"required"`
		DiskOverCommit *rest.Bool       `json:"disk_over_commit" until:"2.25"`
		Force          *rest.Bool       `json:"force" since:"2.30" until:"2.68"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	word, _ := in.BlockMigration.(string) // anything else must be a boolean
	if _, ok := in.BlockMigration.(bool); !ok && (!c.At(compute.BlockMigrationAuto) || word != "auto") {
		if _, ok := rest.ParseBool(word); !ok {
			return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute block_migration. Value: %v.", in.BlockMigration)
		}
	}
	if !c.At(compute.BlockMigrationAuto) && in.DiskOverCommit == nil {
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute os-migrateLive. 'disk_over_commit' is a required property")
	}
	force := in.Force != nil && bool(*in.Force)
	if force && in.Host.V == "" {
		return rest.Reply{}, fault.Invalidf("Can't force to a non-provided destination")
	}
	if in.Host.V != "" {
		if !c.Allow(ruleLiveHost, target(&one.Server)) {
			return rest.Reply{}, fault.Forbiddenf("Policy doesn't allow %s to be performed.", ruleLiveHost)
		}
		if _, err := a.s.hostNamed(c.Context(), in.Host.V); err != nil {
			return rest.Reply{}, err
		}
	}
	err = a.s.MigrateLive(c.Context(), one.ID, in.Host.V, !c.At(compute.LiveMigrationAsync), override(c, one), record(c, one))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a *api) evacuate(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Host     string     `json:"host" v:"min=1,max=255"`
		Shared   *rest.Bool `json:"onSharedStorage" until:"2.14"`
		Password string     `json:"adminPass"`
		Force    *rest.Bool `json:"force" since:"2.29" until:"2.68"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	old := !c.At(compute.EvacuateShared)
	if old && in.Shared == nil {
		return rest.Reply{}, fault.Invalidf("Invalid input for field/attribute evacuate. 'onSharedStorage' is a required property")
	}
	if old && bool(*in.Shared) && in.Password != "" {
		return rest.Reply{}, fault.Invalidf("admin password can't be changed on existing disk")
	}
	if in.Force != nil && bool(*in.Force) && in.Host == "" {
		return rest.Reply{}, fault.Invalidf("Can't force to a non-provided destination")
	}
	if in.Host != "" {
		if _, err := a.s.hostNamed(c.Context(), in.Host); err != nil {
			return rest.Reply{}, fault.NotFoundf("Compute host %s not found.", in.Host)
		}
	}
	if err := a.s.Evacuate(c.Context(), one.ID, in.Host, c.At(compute.EvacuateStopped), override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	if old && !bool(*in.Shared) {
		return rest.OK(map[string]any{"adminPass": in.Password})
	}
	return rest.OK(nil)
}
