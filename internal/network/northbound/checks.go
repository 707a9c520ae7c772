package northbound

import (
	"context"
	"strings"
	"sync"

	"github.com/mekcloud/mek/internal/check"
	"github.com/mekcloud/mek/internal/network/ovn"
)

const comesRight = "nothing: it is brought in line within ten minutes; if it stays, look at the log of mek server"

var (
	drift       = check.Code{ID: "I-03/northbound", Means: "the network database of OVN is not what rows say", Remedy: comesRight}
	translation = check.Code{ID: "I-05/northbound", Means: "the address translation of a floating address is not what rows say", Remedy: comesRight}
)

// Checks compare the northbound database with what rows mean.
func (s *Sync) Checks() []check.Check {
	return []check.Check{{Name: "network/northbound", Codes: []check.Code{drift, translation}, Run: s.check}}
}

// check reads over a connection of its own: the other is of Run alone.
func (s *Sync) check(ctx context.Context, l *check.Look) error {
	d, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	want, err := s.renderAll(ctx, sync.OnceValues(func() ([]string, error) { return s.gateways(ctx, d, Looking) }))
	if err != nil {
		return err
	}
	for _, f := range d.Compare(want) {
		code := drift
		if strings.HasPrefix(f.Scope, "floating/") {
			code = translation
		}
		id := f.Scope[strings.Index(f.Scope, "/")+1:]
		l.Report(code, check.Of("", f.Scope, id), "%s", f.Text)
	}
	return nil
}

// renderAll renders every scope there should be.
func (s *Sync) renderAll(ctx context.Context, gateways func() ([]string, error)) (map[string][]ovn.Row, error) {
	names, err := s.scopes(ctx)
	if err != nil {
		return nil, err
	}
	all, r := map[string][]ovn.Row{}, s.reading(gateways)
	if err := r.ports(ctx, names); err != nil {
		return nil, err
	}
	for _, scope := range names {
		if all[scope], err = r.render(ctx, scope); err != nil {
			return nil, err
		}
	}
	return all, nil
}
