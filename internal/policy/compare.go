package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxAtoms bounds the truth table of Same: two to the power of it are its rows.
const maxAtoms = 18

// Same tells whether a rule means here what it means there: whether both allow
// in the same cases, however they are written, references to other rules
// resolved, and to tokens of the same scopes. Both MUST have the rule.
func (e *Enforcer) Same(name string, there *Enforcer) (bool, error) {
	ours, theirs := e.current.Load(), there.current.Load()
	a, b := ours.rules[name], theirs.rules[name]
	if a == nil || b == nil {
		return false, fmt.Errorf("policy: no rule %q to compare", name)
	}
	if !slices.Equal(allScopes(a.scopes), allScopes(b.scopes)) {
		return false, nil
	}
	atoms := map[string]bool{}
	ours.atoms(a.check, atoms)
	theirs.atoms(b.check, atoms)
	names := slices.Sorted(maps.Keys(atoms))
	if len(names) > maxAtoms {
		return false, fmt.Errorf("policy: rule %q has %d checks, too many to compare", name, len(names))
	}
	for row := range 1 << len(names) {
		for i, name := range names {
			atoms[name] = row>>i&1 == 1
		}
		if ours.holds(a.check, atoms) != theirs.holds(b.check, atoms) {
			return false, nil
		}
	}
	return true, nil
}

// allScopes spells out that no scope named means every scope.
func allScopes(scopes []string) []string {
	if len(scopes) == 0 {
		return []string{ScopeDomain, ScopeProject, ScopeSystem}
	}
	return slices.Sorted(slices.Values(scopes))
}

// atoms collects the checks of a tree that are no combination of others.
func (s *ruleSet) atoms(c check, into map[string]bool) {
	switch v := c.(type) {
	case always:
	case notCheck:
		s.atoms(v.of, into)
	case andCheck:
		for _, of := range v {
			s.atoms(of, into)
		}
	case orCheck:
		for _, of := range v {
			s.atoms(of, into)
		}
	case *ruleCheck:
		if v.rule != nil {
			s.atoms(v.rule.check, into)
		}
	default:
		if admin := s.admin(c); admin != nil {
			s.atoms(admin, into)
			return
		}
		into[atom(c)] = false
	}
}

// holds evaluates a tree on values given to its atoms.
func (s *ruleSet) holds(c check, values map[string]bool) bool {
	holds := func(of check) bool { return s.holds(of, values) }
	switch v := c.(type) {
	case always:
		return bool(v)
	case notCheck:
		return !holds(v.of)
	case andCheck:
		return !slices.ContainsFunc(v, func(of check) bool { return !holds(of) })
	case orCheck:
		return slices.ContainsFunc(v, holds)
	case *ruleCheck:
		return v.rule != nil && holds(v.rule.check)
	}
	if admin := s.admin(c); admin != nil {
		return holds(admin)
	}
	return values[atom(c)]
}

// admin is what is_admin:True stands for.
func (s *ruleSet) admin(c check) check {
	if a, ok := c.(attributeCheck); ok && a.kind == "is_admin" && a.match.source == "True" && s.rules[adminRule] != nil {
		return s.rules[adminRule].check
	}
	return nil
}

// atom spells a check so that two ways to say the same are equal.
func atom(c check) string {
	if r, ok := c.(roleCheck); ok {
		return "role:" + strings.ToLower(r.match.source)
	}
	return strings.NewReplacer("tenant_id", "project_id", "token.project.id:", "project_id:", "token.domain.id:", "domain_id:").Replace(c.String())
}
