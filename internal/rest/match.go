package rest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
)

// route finds the endpoint of a path in any of its accepted spellings: with a
// trailing slash, a ".json" suffix, a doubled version segment, a project id.
func (m *mounted) route(c *Call, path string) (e *endpoint, values []string, project string, err error) {
	if m.Dialect.Path != nil {
		if path, err = m.Dialect.Path(path); err != nil {
			return nil, nil, "", err
		}
	}
	if !m.Dialect.KeepSlash {
		c.slashed = strings.HasSuffix(path, "/")
		path = strings.TrimRight(path, "/")
	}
	if !m.Dialect.KeepSuffix {
		path = strings.TrimSuffix(path, ".json")
	}
	segs, ok := pathSegments(path)
	if !ok {
		return nil, nil, "", fault.Invalidf("The address is not valid.")
	}
	if len(segs) > 1 && segs[0] == segs[1] && looksLikeVersion(segs[0]) {
		segs = segs[1:]
	}
	if len(segs) > 1 && m.Dialect.Base[segs[0]] != "" {
		segs = slices.Concat([]string{m.Dialect.Base[segs[0]]}, segs[1:])
		c.base = true
	}
	serves := func(e *endpoint) bool { return e.forMethod(c.Method) != nil || e.planned[c.Method] != nil }
	if m.Dialect.ProjectInPath && len(segs) > 1 && !m.firsts[segs[1]] {
		project = segs[1]
		segs = slices.Concat(segs[:1], segs[2:])
	}
	if e, values = m.tree.find(segs, nil, serves); e != nil {
		return e, values, project, nil
	}
	if e, _ = m.tree.find(segs, nil, func(*endpoint) bool { return true }); e != nil {
		c.methods = sortedKeys(e.routes)
		return nil, nil, "", fault.New(fault.NotFound, "The resource could not be found.").With(CodeNoMethod)
	}
	return nil, nil, "", fault.New(fault.NotFound, "The resource could not be found.").With("NoSuchRoute")
}

// CodeNoMethod marks the fault of a path that exists, but not with this method.
const CodeNoMethod = "NoSuchMethod"

// Methods lists what the path has instead of a method that it has not.
func (c *Call) Methods() []string { return c.methods }

func looksLikeVersion(seg string) bool {
	return len(seg) > 1 && seg[0] == 'v' && seg[1] >= '0' && seg[1] <= '9'
}

// choose picks the route of the endpoint that serves the request's version.
func (c *Call) choose(e *endpoint, values []string) error {
	routes := e.forMethod(c.Method)
	for _, b := range routes {
		if !c.inRange(b.route.Since, b.route.Until) || b.route.Bare && c.slashed {
			continue
		}
		c.route = b.route
		c.vars = make(map[string]string, len(values))
		for i, name := range b.names {
			c.vars[name] = values[i]
		}
		c.planned = e.planned[c.Method]
		return nil
	}
	if len(routes) == 0 {
		return fault.New(fault.NotImplemented, "This operation is not implemented.")
	}
	return fault.New(fault.NotFound, "The resource could not be found.")
}

func (c *Call) inRange(since, until microversion.Version) bool {
	return microversion.Range{Since: since, Until: until}.Has(c.Version)
}

func (c *Call) plannedAction(name string) bool { return slices.Contains(c.planned, name) }

// negotiate reads the microversion headers and answers with what is spoken.
func (c *Call) negotiate() error {
	v := c.service.Dialect.Versions
	if v == nil {
		return nil
	}
	if c.base {
		c.Version = v.Min
		return nil
	}
	header := c.W.Header()
	header.Add("Vary", "OpenStack-API-Version")
	if v.Legacy != "" {
		header.Add("Vary", v.Legacy)
	}
	asked, err := v.asked(c.Header)
	if err != nil {
		return err
	}
	c.Version = asked
	answer := asked.String()
	header.Set("OpenStack-API-Version", v.Types[0]+" "+answer)
	if v.Legacy != "" {
		header.Set(v.Legacy, answer)
	}
	return nil
}

func (v *Versions) asked(h http.Header) (microversion.Version, error) {
	text := ""
	for _, line := range h.Values("OpenStack-API-Version") {
		for part := range strings.SplitSeq(line, ",") {
			words := strings.Fields(part)
			if len(words) == 2 && slices.Contains(v.Types, strings.ToLower(words[0])) {
				text = words[1]
			}
		}
	}
	if text == "" && v.Legacy != "" {
		text = strings.TrimSpace(h.Get(v.Legacy))
	}
	switch strings.ToLower(text) {
	case "":
		if v.Default != 0 {
			return v.Default, nil
		}
		return v.Min, nil
	case "latest":
		return v.Max, nil
	}
	asked, err := microversion.Parse(text)
	if err != nil {
		return 0, fault.Invalidf("API Version String %s is of invalid format. Must be of format MajorNum.MinorNum.", text)
	}
	if asked < v.Min || asked > v.Max {
		return 0, fault.New(fault.NotAcceptable, "Version %s is not supported by the API. Minimum is %s and maximum is %s.", asked, v.Min, v.Max).
			With("VersionNotFoundForAPIMethod")
	}
	return asked, nil
}
