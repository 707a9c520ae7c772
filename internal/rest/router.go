package rest

import (
	"net/url"
	"strings"
)

// node is a path segment of the routing tree. Literal children win over the
// placeholder, the placeholder over the remainder; a dead end backtracks.
type node struct {
	literal  map[string]*node
	param    *node
	rest     *endpoint
	endpoint *endpoint
}

// endpoint is what one path serves: built routes and planned operations by method.
type endpoint struct {
	names   []string // of placeholders, in order
	routes  map[string][]*bound
	planned map[string][]string // method → planned actions ("" for the path itself)
}

type bound struct {
	route *Route
	names []string
}

func newNode() *node { return &node{literal: map[string]*node{}} }

// at walks to the endpoint of a pattern, making it where it is missing.
func (n *node) at(pattern string) (*endpoint, []string) {
	var names []string
	for _, seg := range segments(pattern) {
		switch {
		case strings.HasPrefix(seg, "{") && strings.HasSuffix(seg, "...}"):
			names = append(names, strings.TrimSuffix(seg[1:], "...}"))
			if n.rest == nil {
				n.rest = newEndpoint()
			}
			return n.rest, names
		case strings.HasPrefix(seg, "{"):
			names = append(names, strings.Trim(seg, "{}"))
			if n.param == nil {
				n.param = newNode()
			}
			n = n.param
		default:
			if n.literal[seg] == nil {
				n.literal[seg] = newNode()
			}
			n = n.literal[seg]
		}
	}
	if n.endpoint == nil {
		n.endpoint = newEndpoint()
	}
	return n.endpoint, names
}

func newEndpoint() *endpoint {
	return &endpoint{routes: map[string][]*bound{}, planned: map[string][]string{}}
}

// find gives the endpoint for a path's segments, with the placeholders' values.
func (n *node) find(segs []string, values []string, ok func(*endpoint) bool) (*endpoint, []string) {
	if len(segs) == 0 {
		if n.endpoint != nil && ok(n.endpoint) {
			return n.endpoint, values
		}
		return nil, nil
	}
	if next := n.literal[segs[0]]; next != nil {
		if e, v := next.find(segs[1:], values, ok); e != nil {
			return e, v
		}
	}
	if n.param != nil && segs[0] != "" {
		if e, v := n.param.find(segs[1:], append(values[:len(values):len(values)], segs[0]), ok); e != nil {
			return e, v
		}
	}
	if n.rest != nil && ok(n.rest) {
		return n.rest, append(values[:len(values):len(values)], strings.Join(segs, "/"))
	}
	return nil, nil
}

// segments cuts a path at its slashes; "/" has none.
func segments(path string) []string {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// pathSegments cuts an escaped path, then unescapes each segment.
func pathSegments(escaped string) ([]string, bool) {
	segs := segments(escaped)
	for i, s := range segs {
		plain, err := url.PathUnescape(s)
		if err != nil || strings.ContainsRune(plain, 0) {
			return nil, false
		}
		segs[i] = plain
	}
	return segs, true
}
