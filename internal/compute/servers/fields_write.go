package servers

import (
	"slices"

	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/rest"
)

// What details have of several members, as values that write themselves: of a
// thousand servers maps of them would be half of the work.

// mark is an object that is elsewhere: its id and a link to it.
type mark struct{ id, href string }

// AppendJSON writes the members.
func (m mark) AppendJSON(b []byte) ([]byte, error) {
	b, err := rest.AppendText(append(b, `{"id":`...), m.id)
	if err != nil {
		return nil, err
	}
	b, err = rest.AppendText(append(b, `,"links":[{"href":`...), m.href)
	return append(b, `,"rel":"bookmark"}]}`...), err
}

// wires are the addresses of a server by network name, with kind and MAC.
type wires []network.Interface

// AppendJSON writes the members.
func (w wires) AppendJSON(b []byte) ([]byte, error) {
	var room [4]string
	names := room[:0]
	for i := range w {
		if len(w[i].Addresses) > 0 {
			names = append(names, w[i].NetworkName)
		}
	}
	slices.Sort(names)
	b = append(b, '{')
	for i, name := range slices.Compact(names) {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = rest.AppendText(b, name); err != nil {
			return nil, err
		}
		if b, err = w.network(append(b, ":["...), name); err != nil {
			return nil, err
		}
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

// network writes the addresses in one network.
func (w wires) network(b []byte, name string) ([]byte, error) {
	var err error
	first := true
	for i := range w {
		if w[i].NetworkName != name {
			continue
		}
		for _, a := range w[i].Addresses {
			if !first {
				b = append(b, ',')
			}
			first = false
			if b, err = rest.AppendText(append(b, `{"OS-EXT-IPS-MAC:mac_addr":`...), w[i].MAC); err != nil {
				return nil, err
			}
			kind := `,"OS-EXT-IPS:type":"fixed","addr":`
			if a.Floating {
				kind = `,"OS-EXT-IPS:type":"floating","addr":`
			}
			if b, err = rest.AppendText(append(b, kind...), a.Address); err != nil {
				return nil, err
			}
			b = append(append(b, `,"version":`...), byte('0'+a.Version), '}')
		}
	}
	return b, nil
}

// guards are the names of the security groups of a server.
type guards []network.Interface

// none tells whether there are none.
func (g guards) none() bool {
	return !slices.ContainsFunc(g, func(card network.Interface) bool { return len(card.Groups) > 0 })
}

// names appends each of them once.
func (g guards) names(to []string) []string {
	for i := range g {
		for _, name := range g[i].Groups {
			if !slices.Contains(to, name) {
				to = append(to, name)
			}
		}
	}
	return to
}

// AppendJSON writes them as objects.
func (g guards) AppendJSON(b []byte) ([]byte, error) {
	var room [8]string
	b = append(b, '[')
	for i, name := range g.names(room[:0]) {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = rest.AppendText(append(b, `{"name":`...), name); err != nil {
			return nil, err
		}
		b = append(b, '}')
	}
	return append(b, ']'), nil
}
