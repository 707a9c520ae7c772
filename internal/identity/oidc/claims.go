package oidc

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Bounds of what is told of one user.
const (
	maxValues = 4096
	maxDepth  = 8
	maxName   = 512 // bytes, with the names above
)

// Claims is what is known of a user: values by name, in the provider's order.
//
// Strings are as they are, numbers as JSON has them, true is "1" and false "0"
// (mod_auth_openidc's spelling: src/util/appinfo.c), a list has one value for
// each element, null none. What is in an object stands under the names joined
// by "."; a claim of the token itself that has such a name wins. A claim that
// is an object has its JSON text under its own name as well, which is all that
// mod_auth_openidc passes on. Not to be changed.
type Claims map[string][]string

// claims spells out what was said. The issuer is always there, in the spelling
// of the configuration: mappings choose by it, and introspection need not tell it.
func (p *Provider) claims(said object) (Claims, error) {
	said["iss"] = p.config.Issuer
	delete(said, "_claim_names")
	delete(said, "_claim_sources")
	out, err := flatten(said)
	if err != nil {
		return nil, refused(err)
	}
	return out, nil
}

// flattening is a walk through claims.
type flattening struct {
	own, nested Claims
	left        int // values that may still come
}

func flatten(said object) (Claims, error) {
	f := flattening{own: Claims{}, nested: Claims{}, left: maxValues}
	for name, value := range said {
		if inner, ok := value.(map[string]any); ok {
			text, err := compact(inner)
			if err != nil {
				return nil, err
			}
			f.own[name] = []string{text}
		}
		if err := f.put(f.own, name, value, maxDepth); err != nil {
			return nil, err
		}
	}
	for name, values := range f.nested {
		if _, taken := f.own[name]; !taken {
			f.own[name] = values
		}
	}
	return f.own, nil
}

func (f *flattening) put(out Claims, name string, value any, depth int) error {
	if depth == 0 || len(name) > maxName {
		return errTooMuch
	}
	switch v := value.(type) {
	case string:
		return f.add(out, name, v)
	case json.Number:
		return f.add(out, name, v.String())
	case bool:
		return f.add(out, name, map[bool]string{true: "1", false: "0"}[v])
	case []any:
		for _, e := range v {
			if err := f.put(out, name, e, depth-1); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, inner := range slices.Sorted(maps.Keys(v)) {
			if err := f.put(f.nested, name+"."+inner, v[inner], depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *flattening) add(out Claims, name, value string) error {
	if f.left--; f.left < 0 {
		return errTooMuch
	}
	out[name] = append(out[name], value)
	return nil
}

// compact is an object's JSON without spaces and without the escapes that are
// for web pages.
func compact(v map[string]any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}
