package ovn

import (
	"fmt"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// wire turns a column's value into OVSDB's notation.
func wire(v any) any {
	switch x := v.(type) {
	case Set:
		out := make([]any, len(x))
		for i, s := range x {
			out[i] = s
		}
		return ovsdb.OvsSet{GoSet: out}
	case Refs:
		out := make([]any, len(x))
		for i, key := range x {
			out[i] = ovsdb.UUID{GoUUID: UUID(key)}
		}
		return ovsdb.OvsSet{GoSet: out}
	case OptInt:
		if x == 0 {
			return ovsdb.OvsSet{GoSet: []any{}}
		}
		return int(x)
	case Nums:
		out := make(map[any]any, len(x))
		for k, n := range x {
			out[k] = n
		}
		return ovsdb.OvsMap{GoMap: out}
	case Map:
		out := make(map[any]any, len(x))
		for k, s := range x {
			out[k] = s
		}
		return ovsdb.OvsMap{GoMap: out}
	default:
		return v
	}
}

// fromWire reads a column as its kind says. References come out as UUIDs.
func fromWire(k kind, v any) (any, error) {
	switch k {
	case text:
		s, ok := v.(string)
		return s, complain(ok, "string", v)
	case number:
		f, ok := v.(float64)
		return int(f), complain(ok, "number", v)
	case optBool:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return true, nil
	case optInt:
		f, _ := v.(float64) // an empty set means none
		return OptInt(f), nil
	case mapping:
		return mapFromWire(v)
	case numbers:
		return numsFromWire(v)
	default:
		elements, err := setFromWire(v)
		if k == set {
			return Set(elements), err
		}
		return Refs(elements), err
	}
}

func mapFromWire(v any) (any, error) {
	m, ok := v.(ovsdb.OvsMap)
	if !ok {
		return nil, complain(false, "map", v)
	}
	out := make(Map, len(m.GoMap))
	for k, s := range m.GoMap {
		key, ok1 := k.(string)
		value, ok2 := s.(string)
		if !ok1 || !ok2 {
			return nil, complain(false, "map of strings", v)
		}
		out[key] = value
	}
	return out, nil
}

func numsFromWire(v any) (any, error) {
	m, ok := v.(ovsdb.OvsMap)
	if !ok {
		return nil, complain(false, "map", v)
	}
	out := make(Nums, len(m.GoMap))
	for k, n := range m.GoMap {
		key, ok1 := k.(string)
		value, ok2 := n.(float64)
		if !ok1 || !ok2 {
			return nil, complain(false, "map of numbers", v)
		}
		out[key] = int(value)
	}
	return out, nil
}

func setFromWire(v any) ([]string, error) {
	elements := []any{v}
	if s, ok := v.(ovsdb.OvsSet); ok {
		elements = s.GoSet
	}
	out := make([]string, 0, len(elements))
	for _, e := range elements {
		switch x := e.(type) {
		case string:
			out = append(out, x)
		case ovsdb.UUID:
			out = append(out, x.GoUUID)
		default:
			return nil, complain(false, "set of strings or references", v)
		}
	}
	return out, nil
}

func complain(ok bool, want string, v any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("northbound column: want %s, got %T", want, v)
}
