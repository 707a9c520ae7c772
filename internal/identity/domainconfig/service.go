package domainconfig

import (
	"context"
	"encoding/json"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

// Config is options by group and name.
type Config map[string]map[string]any

// Service keeps domains' options. Safe for concurrent use.
type Service struct {
	db      *db.DB
	changes identity.Changes
	store   store
}

// New makes the service.
func New(d *db.DB, ch identity.Changes, seal Sealer) *Service { return &Service{d, ch, store{seal}} }

func invalid(format string, args ...any) error {
	return fault.Forbiddenf("Invalid domain specific configuration: "+format+".", args...)
}

func missing(domain, group, name string) error {
	what := "any options"
	switch {
	case name != "":
		what = "option " + name + " in group " + group
	case group != "":
		what = "group " + group
	}
	return fault.NotFoundf("Could not find %s in domain configuration for domain %s.", what, domain)
}

// supported refuses a group or option that no domain may set. Forbidden.
func supported(group, name string) error {
	if group != "" && !known(group) {
		return invalid("Group %s is not supported for domain specific configurations", group)
	}
	if name != "" && find(group, name) == nil {
		return invalid("Option %s in group %s is not supported for domain specific configurations", name, group)
	}
	return nil
}

// check refuses a configuration that is empty or has what is not supported.
func (c Config) check() error {
	if len(c) == 0 {
		return invalid("No options specified")
	}
	for group, members := range c {
		if len(members) == 0 {
			return invalid("The value of group %s specified in the config should be a dictionary of options", group)
		}
		for name := range members {
			if err := supported(group, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// shown is what of a domain's options may be shown, of one group or one option.
func shown(list []value, group, name string) (Config, error) {
	out := Config{}
	for _, v := range list {
		o := find(v.group, v.name)
		if o == nil || o.secret || group != "" && v.group != group || name != "" && v.name != name {
			continue
		}
		if out[v.group] == nil {
			out[v.group] = map[string]any{}
		}
		var decoded any
		if err := json.Unmarshal([]byte(v.text), &decoded); err != nil {
			return nil, fault.Internalf("decode option %s: %w", v.name, err)
		}
		out[v.group][v.name] = decoded
	}
	return out, nil
}

// Get gives a domain's options, without secret ones. NotFound when there are
// none; Forbidden for what is not supported.
func (s *Service) Get(ctx context.Context, domain, group, name string) (Config, error) {
	if err := supported(group, name); err != nil {
		return nil, err
	}
	list, err := s.store.load(ctx, s.db, domain)
	if err != nil {
		return nil, err
	}
	out, err := shown(list, group, name)
	if err == nil && len(out) == 0 {
		err = missing(domain, group, name)
	}
	return out, err
}

func (s *Service) put(ctx context.Context, tx *db.Tx, domain string, c Config) error {
	for group, members := range c {
		for name, v := range members {
			text, err := s.store.encode(domain, find(group, name), v)
			if err != nil {
				return err
			}
			if err := s.store.put(ctx, tx, domain, value{group, name, text}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Replace makes these the options of a domain, all of them. fresh says that it
// had none before. The answer is without secret ones.
func (s *Service) Replace(ctx context.Context, domain string, c Config) (out Config, fresh bool, err error) {
	if err := c.check(); err != nil {
		return nil, false, err
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		old, err := s.store.load(ctx, tx, domain)
		if err != nil {
			return err
		}
		fresh = len(old) == 0
		if err := s.store.drop(ctx, tx, domain, "", ""); err != nil {
			return err
		}
		out, err = s.save(ctx, tx, domain, c)
		return err
	})
	return out, fresh, err
}

// save stores options, notes the change and gives what may be shown now.
func (s *Service) save(ctx context.Context, tx *db.Tx, domain string, c Config) (Config, error) {
	if err := s.put(ctx, tx, domain, c); err != nil {
		return nil, err
	}
	if err := s.changes.Changed(ctx, tx, identity.Change("update", "domain_config", domain)); err != nil {
		return nil, err
	}
	now, err := s.store.load(ctx, tx, domain)
	if err != nil {
		return nil, err
	}
	return shown(now, "", "")
}

// Update lays options over those of a domain. With a group, or a group and a
// name, c holds that and nothing else, and it must be set already: NotFound
// otherwise. The answer is all options that may be shown.
func (s *Service) Update(ctx context.Context, domain, group, name string, c Config) (Config, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := supported(group, name); err != nil {
		return nil, err
	}
	if err := only(c, group, name); err != nil {
		return nil, err
	}
	var out Config
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.has(ctx, tx, domain, group, name); err != nil {
			return err
		}
		var err error
		out, err = s.save(ctx, tx, domain, c)
		return err
	})
	return out, err
}

// only refuses a configuration that has more than the path names.
func only(c Config, group, name string) error {
	if group == "" {
		return nil
	}
	members, there := c[group]
	switch {
	case name != "" && (len(c) != 1 || len(members) != 1):
		return invalid("Trying to update option %s in group %s, so that, and only that, option must be specified  in the config", name, group)
	case len(c) != 1:
		return invalid("Trying to update group %s, so that, and only that, group must be specified in the config", group)
	case !there:
		return invalid("request to update group %s, but the config provided contains another group instead", group)
	}
	if _, there := members[name]; name != "" && !there {
		return invalid("Trying to update option %s in group %s, but config provided contains another option instead", name, group)
	}
	return nil
}

// has checks that a domain has set a group or an option; an empty group asks nothing.
func (s *Service) has(ctx context.Context, q db.Querier, domain, group, name string) error {
	if group == "" {
		return nil
	}
	list, err := s.store.load(ctx, q, domain)
	if err != nil {
		return err
	}
	for _, v := range list {
		if v.group == group && (name == "" || v.name == name) {
			return nil
		}
	}
	return missing(domain, group, name)
}

// Delete removes a domain's options, those of one group, or one; NotFound when
// a named one is not set.
func (s *Service) Delete(ctx context.Context, domain, group, name string) error {
	if err := supported(group, name); err != nil {
		return err
	}
	return s.db.Write(ctx, func(tx *db.Tx) error {
		if err := s.has(ctx, tx, domain, group, name); err != nil {
			return err
		}
		if err := s.store.drop(ctx, tx, domain, group, name); err != nil {
			return err
		}
		return s.changes.Changed(ctx, tx, identity.Change("delete", "domain_config", domain))
	})
}

// Standard gives the options as they are where no domain has set them.
func Standard(group, name string) (Config, error) {
	if err := supported(group, name); err != nil {
		return nil, err
	}
	if o := find(group, name); o != nil && o.secret {
		return nil, invalid("Reading the default for option %s in group %s is not supported", name, group)
	}
	out := Config{}
	for _, o := range options {
		if o.secret || group != "" && o.group != group || name != "" && o.name != name {
			continue
		}
		if out[o.group] == nil {
			out[o.group] = map[string]any{}
		}
		out[o.group][o.name] = o.standard
	}
	return out, nil
}
