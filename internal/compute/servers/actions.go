package servers

import (
	"maps"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/rest"
)

// actions are what POST /servers/{id}/action knows.
func (a *api) actions() map[string]rest.Action {
	out := map[string]rest.Action{
		"os-start":            {Rule: ruleStart, Audit: "start", Handle: a.power("os-start")},
		"os-stop":             {Rule: ruleStop, Audit: "stop", Handle: a.power("os-stop")},
		"pause":               {Rule: rulePause, Handle: a.power("pause")},
		"unpause":             {Rule: ruleUnpause, Handle: a.power("unpause")},
		"suspend":             {Rule: ruleSuspend, Handle: a.power("suspend")},
		"resume":              {Rule: ruleResume, Handle: a.power("resume")},
		"reboot":              {Rule: ruleReboot, Handle: a.reboot},
		"lock":                {Rule: ruleLock, Handle: a.lock},
		"unlock":              {Rule: ruleUnlock, Handle: a.unlock},
		"os-resetState":       {Rule: ruleReset, Audit: "reset_state", Handle: a.reset},
		"forceDelete":         {Rule: ruleForceDel, Audit: "delete", Handle: a.forceDelete},
		"os-getConsoleOutput": {Rule: ruleConsole, Audit: "console", Handle: a.console},
	}
	for _, more := range []map[string]rest.Action{a.imageActions(), a.rebuildActions(), a.rescueActions(), a.shelveActions(), a.moveActions(), a.insideActions()} {
		maps.Copy(out, more)
	}
	return out
}

// power handles the actions without parameters: null, or anything, as upstream.
func (a *api) power(verb string) rest.Handler {
	return func(c *rest.Call) (rest.Reply, error) {
		one, err := a.find(c)
		if err != nil {
			return rest.Reply{}, err
		}
		if err := a.s.Power(c.Context(), one.ID, verb, override(c, one), record(c, one)); err != nil {
			return rest.Reply{}, err
		}
		return rest.Accepted(nil)
	}
}

func (a *api) reboot(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Type string `json:"type" v:"required,enum=HARD|Hard|hard|SOFT|Soft|soft"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if in.Type[0] == 'S' || in.Type[0] == 's' {
		err = a.s.SoftReboot(c.Context(), one.ID, override(c, one), record(c, one))
	} else {
		err = a.s.Power(c.Context(), one.ID, "reboot", override(c, one), record(c, one))
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a *api) lock(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Reason string `json:"locked_reason" v:"min=1,max=255"`
	}
	if c.At(compute.LockReason) && string(c.Payload()) != "null" {
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
	}
	byOwner := c.Auth.ProjectID == one.ProjectID && !override(c, one)
	if err := a.s.Lock(c.Context(), one.ID, in.Reason, byOwner, record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a *api) unlock(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Unlock(c.Context(), one.ID, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a *api) reset(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		State string `json:"state" v:"required,enum=active|error"`
	}
	if err := c.Decode(&in); err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.ResetState(c.Context(), one.ID, compute.VMState(in.State), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a *api) forceDelete(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.Delete(c.Context(), one.ID, override(c, one), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Accepted(nil)
}

func (a *api) console(c *rest.Call) (rest.Reply, error) {
	one, err := a.find(c)
	if err != nil {
		return rest.Reply{}, err
	}
	var in struct {
		Length rest.Opt[rest.Int] `json:"length" v:"min=-1"`
	}
	if string(c.Payload()) != "null" {
		if err := c.Decode(&in); err != nil {
			return rest.Reply{}, err
		}
	}
	lines := -1
	if in.Length.Set && !in.Length.Null {
		lines = int(in.Length.V)
	}
	if err := allowed(one, "os-getConsoleOutput"); err != nil {
		return rest.Reply{}, err
	}
	text, err := a.s.consoleOutput(c.Context(), one, lines, id.New())
	if err != nil {
		return rest.Reply{}, err
	}
	if err := a.s.audit(c.Context(), record(c, one)); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(map[string]any{"output": text})
}
