package scale

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/testcloud"
	"github.com/mekcloud/mek/test/measured"
)

// TestGrowth asks hot operations with 1, 10, 100 and so on up to MEK_GROWTH times
// as many rows of each kind, on both databases, and draws the curves.
func TestGrowth(t *testing.T) {
	if os.Getenv("MEK_GROWTH") == "" {
		t.Skip("make growth runs it")
	}
	dbtest.EachOne(t, func(t *testing.T) {
		g := &grown{field: field{t: t, servers: 1}, base: setting(t, "MEK_GROWTH_BASE", 20)}
		g.cloud = testcloud.New(t, testcloud.Hosts(4), boundless)
		g.cloud.Breaks() // copies of rows are no cloud
		g.prepare()
		g.originals()
		for factor := 1; factor <= setting(t, "MEK_GROWTH", 1000); factor *= 10 {
			g.grow(g.base * factor)
			g.measure(g.base * factor)
		}
		g.draw()
	})
}

type grown struct {
	field
	base, have int
	kinds      []*original
	ids        map[string]string // by kind
	curves     []measured.Curve
}

func (g *grown) made(who *testcloud.Client, path string, body object, at string, headers ...string) string {
	g.t.Helper()
	a := who.Do("POST", path, body, headers...)
	if a.Status >= 300 {
		g.t.Fatalf("%s: %d %s", path, a.Status, a.Body)
	}
	return a.String(at)
}

// originals makes one thing of each kind.
func (g *grown) originals() {
	g.t.Helper()
	c := g.cloud
	g.ids = map[string]string{
		"server":  g.made(c.Demo, "/compute/v2.1/servers", object{"server": object{"name": "s", "flavorRef": "f1", "imageRef": g.image, "networks": []object{{"uuid": g.networks[0]}}}}, "server.id"),
		"port":    g.made(c.Demo, "/networking/v2.0/ports", object{"port": object{"network_id": g.networks[0], "name": "p"}}, "port.id"),
		"volume":  g.made(c.Demo, "/volume/v3/volumes", object{"volume": object{"size": 1, "name": "v"}}, "volume.id"),
		"project": g.made(c.Admin, "/identity/v3/projects", object{"project": object{"name": "original-project"}}, "project.id"),
		"network": g.networks[0],
		"image":   g.image,
	}
	c.RunTasks()
	far := func(text string, n int) string { // hosts that nobody asks: what they have is not rendered
		for k := 1; k <= 4; k++ {
			text = strings.ReplaceAll(text, fmt.Sprintf("sim-%d", k), fmt.Sprintf("far-%d", n/100))
		}
		return text
	}
	g.copied(far, []string{g.ids["server"]}, "compute_servers id", g.ids["server"])
	g.copied(func(text string, n int) string {
		if strings.HasPrefix(text, "fa:16:3e:") {
			return fmt.Sprintf("fa:16:%02x:%02x:%02x:%02x", n>>24&255|64, n>>16&255, n>>8&255, n&255)
		}
		return far(text, n)
	}, []string{g.ids["port"]}, "network_ports id", g.ids["port"])
	g.copied(far, []string{g.ids["volume"]}, "blockstorage_volumes id", g.ids["volume"])
	g.copied(far, []string{g.ids["network"]}, "network_networks id", g.ids["network"])
	g.copied(far, []string{g.ids["image"]}, "image_images id", g.ids["image"])
	g.copied(func(text string, n int) string {
		return strings.ReplaceAll(text, "original-project", fmt.Sprint("project-", n))
	}, []string{g.ids["project"]}, "identity_projects id", g.ids["project"])
	g.a = newAsker(c, c.Demo)
}

func (g *grown) copied(more func(string, int) string, names []string, place, value string) {
	g.t.Helper()
	table, column, _ := strings.Cut(place, " ")
	o := &original{t: g.t, d: g.cloud.DB, names: names, more: more}
	o.read(table, column, value)
	g.kinds = append(g.kinds, o)
}

// grow makes copies until there are so many of each kind.
func (g *grown) grow(n int) {
	g.t.Helper()
	for _, o := range g.kinds {
		o.copies(g.have, n)
	}
	g.have = n
	if g.cloud.DB.Engine() == db.Postgres {
		err := g.cloud.DB.Write(context.Background(), func(tx *db.Tx) error {
			_, err := tx.ExecContext(context.Background(), "ANALYZE")
			return err
		})
		if err != nil {
			g.t.Fatal(err)
		}
	}
}

// operation is what is asked at each size.
type operation struct {
	name, method, path string
	body               func(i int) any
}

func (g *grown) operations() []operation {
	return []operation{
		{"server show", "GET", "/compute/v2.1/servers/" + g.ids["server"], nil},
		{"server list, page of 100", "GET", "/compute/v2.1/servers/detail?limit=100", nil},
		{"server list by name", "GET", "/compute/v2.1/servers?name=none-of-them&limit=100", nil},
		{"port show", "GET", "/networking/v2.0/ports/" + g.ids["port"], nil},
		{"port list, page of 100", "GET", "/networking/v2.0/ports?limit=100", nil},
		{"port list of a server", "GET", "/networking/v2.0/ports?device_id=" + g.ids["server"], nil},
		{"network list, page of 100", "GET", "/networking/v2.0/networks?limit=100", nil},
		{"volume list, page of 100", "GET", "/volume/v3/volumes/detail?limit=100", nil},
		{"image list, page of 100", "GET", "/image/v2/images?limit=100", nil},
		{"token validate", "GET", "/identity/v3/auth/projects", nil},
		{"network create", "POST", "/networking/v2.0/networks", func(i int) any { return object{"network": object{"name": fmt.Sprint("n", i)}} }},
		{"port create", "POST", "/networking/v2.0/ports", func(int) any { return object{"port": object{"network_id": g.networks[0]}} }},
		{"volume create", "POST", "/volume/v3/volumes", func(int) any { return object{"volume": object{"size": 1}} }},
		{"server create, accepted", "POST", "/compute/v2.1/servers", func(int) any {
			return object{"server": object{"name": "x", "flavorRef": "f1", "imageRef": g.image, "networks": []object{{"uuid": g.networks[0]}}}}
		}},
	}
}

const asked = 15 // times of each operation

func (g *grown) measure(rows int) {
	g.t.Helper()
	for i, op := range g.operations() {
		times, errs := crowd(asked, 1, func(k int) (float64, error) {
			var body any
			if op.body != nil {
				body = op.body(k)
			}
			_, took, err := g.a.ask(context.Background(), op.method, op.path, body)
			return took, err
		})
		if len(errs) > 0 {
			g.t.Fatalf("%s: %v", op.name, errs[0])
		}
		g.cloud.RunTasks()
		if i >= len(g.curves) {
			g.curves = append(g.curves, measured.Curve{Name: op.name})
		}
		s := measured.SpreadOf(times)
		g.curves[i].X, g.curves[i].Y = append(g.curves[i].X, float64(rows)), append(g.curves[i].Y, s.Value)
		note(g.t, measured.Line{Name: fmt.Sprintf("growth/%s/%s/%d", g.cloud.DB.Engine(), op.name, rows), Unit: "ms", Spread: s, Samples: len(times), Note: fmt.Sprintf("%d rows of each kind", rows)})
	}
}

// draw writes the curves, and names what grows by more than a tenth of the rows.
func (g *grown) draw() {
	g.t.Helper()
	engine := "sqlite"
	if g.cloud.DB.Engine() == db.Postgres {
		engine = "postgres"
	}
	for _, c := range g.curves {
		if n := len(c.X) - 1; n > 0 {
			g.t.Logf("%s: %.2f ms with %.0f rows, %.2f ms with %.0f: %.1f times", c.Name, c.Y[0], c.X[0], c.Y[n], c.X[n], c.Y[n]/c.Y[0])
		}
	}
	if dir := os.Getenv("MEK_GROWTH_CURVES"); dir != "" {
		about := fmt.Sprintf("Median of a request by rows of each kind (servers, ports, networks, volumes, images, projects), %s", engine)
		if err := os.WriteFile(filepath.Join(dir, "growth-"+engine+".svg"), measured.Draw(about, g.curves), 0o644); err != nil {
			g.t.Fatal(err)
		}
	}
}
