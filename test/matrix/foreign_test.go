package matrix

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/testcloud/world"
)

const foreignFile = "testdata/foreign.txt"

var (
	anID    = regexp.MustCompile(`^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$`)
	request = regexp.MustCompile(`(req-|tx)[0-9a-f-]+`)
)

// foreign asks strangers for things of others and for things there are not: the
// answers must be equal. Where they are not is listed, each with its reason.
func foreign(t *testing.T, w *world.World, rows []*row) {
	t.Helper()
	var found []string
	for _, r := range rows {
		for _, name := range []string{"member of another project", "manager of another domain", "no role"} {
			if diff := tellsApart(w, r, w.People.Named(name)); diff != "" {
				found = append(found, r.line+"  "+name+"  "+diff)
			}
		}
	}
	reasons := map[string]string{}
	content, err := os.ReadFile(foreignFile)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if cells := strings.SplitN(strings.TrimRight(line, "\n"), "  ", 4); len(cells) == 4 && line[0] != '#' {
			reasons[strings.Join(cells[:3], "  ")] = cells[3]
		}
	}
	if *update {
		var b strings.Builder
		b.WriteString("# Where a stranger can tell a thing of others from one there is not, and why.\n")
		for _, line := range found {
			fmt.Fprintf(&b, "%s  %s\n", line, reasons[line])
		}
		if err := os.WriteFile(foreignFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, line := range found {
		if reasons[line] == "" {
			t.Errorf("tells foreign from missing: %s", line)
		}
	}
	for line := range reasons {
		if !slices.Contains(found, line) {
			t.Errorf("listed in %s, but equal: %s", foreignFile, line)
		}
	}
}

// tellsApart asks for what is there and for what is not; rehearsed, as it may be allowed.
func tellsApart(w *world.World, r *row, p *world.Person) string {
	_, values, missing := w.Path(r.op.Service.Name, r.op.Route.Path)
	if missing || len(values) == 0 || !anID.MatchString(values[0]) {
		return ""
	}
	there := question(w, r)
	none := "6f70656e-7374-4163-8b20-6d656b000000"
	if !strings.Contains(values[0], "-") {
		none = strings.ReplaceAll(none, "-", "")
	}
	nowhere := there
	nowhere.Path = strings.Replace(there.Path, values[0], none, 1)
	a, b := w.Ask(p, there, nil, true), w.Ask(p, nowhere, nil, true)
	plain := func(text, id string) string {
		return request.ReplaceAllString(strings.ReplaceAll(text, id, "ID"), "REQUEST")
	}
	switch {
	case a.Code < 300: // may be seen
		return ""
	case a.Code != b.Code:
		return fmt.Sprintf("%d, not %d", a.Code, b.Code)
	case a.Code >= 400 && plain(a.Body.String(), values[0]) != plain(b.Body.String(), none):
		return fmt.Sprintf("%d in other words", a.Code)
	}
	return ""
}
