package imageapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/db/dbtest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
	"github.com/mekcloud/mek/internal/image"
	imageapi "github.com/mekcloud/mek/internal/image/api"
	"github.com/mekcloud/mek/internal/quota"
	"github.com/mekcloud/mek/test/await"
)

// disk makes an image of 1 MiB by qemu-img and gives its bytes.
func disk(t *testing.T, format string, options ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	args := append(append([]string{"create", "-q", "-f", format}, options...), path, "1M")
	if out, err := exec.CommandContext(t.Context(), "qemu-img", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (g *glance) status(id string) string {
	g.t.Helper()
	return g.do("admin", "GET", "/v2/images/"+id, nil).expect(http.StatusOK).text("status")
}

func TestContentIsChecked(t *testing.T) {
	g := newGlance(t, dbtest.One(t), nil)
	random := []byte(strings.Repeat("random", 300))
	for _, c := range []struct {
		disk, container string
		content         []byte
		status          int
	}{
		{"qcow2", "bare", disk(t, "qcow2"), 204}, {"raw", "bare", random, 204}, {"ami", "ami", random, 204}, {"vhd", "ami", random, 204},
		{"qcow2", "bare", random, 415}, {"raw", "bare", disk(t, "qcow2"), 415}, {"vmdk", "bare", disk(t, "qcow2"), 415},
		{"qcow2", "bare", disk(t, "qcow2", "-F", "raw", "-b", "/etc/passwd"), 415}, {"qcow2", "ovf", disk(t, "qcow2", "-F", "raw", "-b", "/etc/passwd"), 415},
		{"vmdk", "bare", disk(t, "vmdk", "-o", "subformat=monolithicFlat"), 415},
	} {
		id := g.image("alice", fields{"disk_format": c.disk, "container_format": c.container})
		a := g.do("alice", "PUT", "/v2/images/"+id+"/file", c.content)
		if a.status != c.status {
			t.Errorf("%s in %s: %d, want %d: %s", c.disk, c.container, a.status, c.status, a.body)
		}
		want := map[int]string{204: "active", 415: "queued"}[c.status]
		if got := g.status(id); got != want {
			t.Errorf("%s in %s is %s, want %s", c.disk, c.container, got, want)
		}
		if strings.Contains(string(a.body), "/etc") || strings.Contains(string(a.body), g.dir) {
			t.Errorf("the answer tells of files: %s", a.body)
		}
	}
	if left := g.files(); len(left) != 4 {
		t.Errorf("four images were accepted, but there are %v", left)
	}
	empty := g.image("alice", fields{"disk_format": "qcow2"})
	g.do("alice", "PUT", "/v2/images/"+empty+"/file", []byte{}).expect(http.StatusNoContent)
	if i, err := g.service.Images().Lookup(t.Context(), image.Viewer{Admin: true}, empty); err != nil || i.Usable() {
		t.Errorf("an empty image can be used: %+v, %v", i, err)
	}
	undecided := g.do("alice", "POST", "/v2/images", fields{}).text("id")
	g.do("alice", "PUT", "/v2/images/"+undecided+"/file", random).expect(http.StatusBadRequest)
	id := g.image("alice", nil)
	g.do("alice", "PUT", "/v2/images/"+id+"/file", random, "Content-Type", "application/json").expect(http.StatusUnsupportedMediaType)
	g.do("alice", "PUT", "/v2/images/"+id+"/file", random, "X-Image-Meta-Store", "tape").expect(http.StatusBadRequest)
	g.do("alice", "PUT", "/v2/images/"+id+"/file", random, "X-Openstack-Image-Size", "5").expect(http.StatusBadRequest)
	g.do("alice", "PUT", "/v2/images/"+id+"/file", random, "X-Openstack-Image-Size", "many").expect(http.StatusBadRequest)
	g.do("reader", "PUT", "/v2/images/"+id+"/file", random).expect(http.StatusForbidden)
	g.do("bob", "PUT", "/v2/images/"+id+"/file", random).expect(http.StatusNotFound)
	g.do("alice", "PUT", "/v2/images/"+id+"/file", random).expect(http.StatusNoContent)
}

func TestRanges(t *testing.T) {
	g := newGlance(t, dbtest.One(t), nil)
	id := g.image("alice", nil)
	path := "/v2/images/" + id + "/file"
	g.do("alice", "PUT", path, []byte("0123456789")).expect(http.StatusNoContent)
	for header, want := range map[string]string{"bytes=0-4": "01234", "bytes=8-": "89", "bytes=-3": "789", "bytes=4-400": "456789", "bytes=-100": "0123456789"} {
		a := g.do("alice", "GET", path, nil, "Range", header).expect(http.StatusPartialContent)
		if string(a.body) != want || !strings.HasSuffix(a.header.Get("Content-Range"), "/10") {
			t.Errorf("%s: %q, %s", header, a.body, a.header.Get("Content-Range"))
		}
	}
	for _, header := range []string{"bytes=10-", "bytes=5-4", "bytes=x-y", "lines=1-2", "bytes=-0", "bytes=0-1,3-4"} {
		g.do("alice", "GET", path, nil, "Range", header).expect(http.StatusRequestedRangeNotSatisfiable)
	}
	head := g.do("alice", "HEAD", path, nil).expect(http.StatusOK)
	if head.header.Get("Content-Length") != "10" || len(head.body) != 0 {
		t.Fatalf("%v", head.header)
	}
}

func TestBrokenUpload(t *testing.T) {
	g := newGlance(t, dbtest.One(t), nil)
	id := g.image("alice", nil)
	r, err := http.NewRequestWithContext(t.Context(), "PUT", g.url+"/v2/images/"+id+"/file",
		io.MultiReader(io.LimitReader(zeros{}, 3<<20), iotest.ErrReader(errors.New("gone"))))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", "alice")
	r.Header.Set("Content-Type", "application/octet-stream")
	if a, err := http.DefaultClient.Do(r); err == nil {
		a.Body.Close()
		t.Fatalf("a broken upload was answered with %s", a.Status)
	}
	// the server learns of it in its own time: until then the first upload still runs
	await.That(t, "the upload can be repeated", func() bool {
		return g.do("alice", "PUT", "/v2/images/"+id+"/file", []byte("whole")).status == http.StatusNoContent
	})
	if left := g.files(); len(left) != 1 || left[0] != id+".image" {
		t.Fatalf("files: %v", left)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A delete during an upload wins, and the upload leaves nothing.
func TestDeleteDuringUpload(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g := newGlance(t, d, nil)
		id := g.image("alice", nil)
		in, out := io.Pipe()
		answered := make(chan *answer, 1)
		go func() { answered <- g.do("alice", "PUT", "/v2/images/"+id+"/file", in) }()
		if _, err := out.Write([]byte("first half")); err != nil {
			t.Fatal(err)
		}
		await.That(t, "the upload has begun", func() bool { return g.status(id) == "saving" && len(g.files()) == 1 })
		g.do("alice", "PUT", "/v2/images/"+id+"/file", []byte("second upload")).expect(http.StatusConflict)
		g.sweep() // leaves a running upload alone
		if g.status(id) != "saving" {
			t.Fatal("the reconciler took a running upload for dead")
		}
		g.do("alice", "DELETE", "/v2/images/"+id, nil).expect(http.StatusNoContent)
		out.Close()
		if a := <-answered; a.status != http.StatusGone {
			t.Fatalf("the upload was answered with %d: %s", a.status, a.body)
		}
		if left := g.files(); len(left) != 0 {
			t.Fatalf("left behind: %v", left)
		}
	})
}

func TestImport(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g := newGlance(t, d, nil)
		direct := fields{"method": fields{"name": "glance-direct"}}
		good, bad := g.image("alice", fields{"disk_format": "qcow2"}), g.image("alice", fields{"disk_format": "qcow2"})
		g.do("alice", "POST", "/v2/images/"+good+"/import", direct).expect(http.StatusConflict)
		g.do("alice", "PUT", "/v2/images/"+good+"/stage", disk(t, "qcow2")).expect(http.StatusNoContent)
		staged := g.do("alice", "GET", "/v2/images/"+good, nil).json()
		if staged["status"] != "uploading" || staged["size"] == nil || staged["checksum"] != nil {
			t.Fatalf("%v", staged)
		}
		g.do("alice", "PUT", "/v2/images/"+good+"/stage", []byte("x")).expect(http.StatusConflict)
		for name, status := range map[string]int{"web-download": 400, "copy-image": 403, "magic": 400, "": 400} {
			g.do("alice", "POST", "/v2/images/"+good+"/import", fields{"method": fields{"name": name}}).expect(status)
		}
		g.do("alice", "POST", "/v2/images/"+good+"/import", fields{}).expect(http.StatusBadRequest)
		g.do("alice", "POST", "/v2/images/"+good+"/import", "[").expect(http.StatusBadRequest)
		g.sweep() // staged data is waited for
		g.do("alice", "POST", "/v2/images/"+good+"/import", direct).expect(http.StatusAccepted)
		done := g.do("alice", "GET", "/v2/images/"+good, nil).json()
		if done["status"] != "active" || done["virtual_size"] != float64(1<<20) || done["checksum"] == nil {
			t.Fatalf("%v", done)
		}
		g.do("alice", "PUT", "/v2/images/"+bad+"/stage", []byte("no qcow2")).expect(http.StatusNoContent)
		g.do("alice", "POST", "/v2/images/"+bad+"/import", direct).expect(http.StatusAccepted)
		if g.status(bad) != "queued" {
			t.Fatalf("a bad import left %s", g.status(bad))
		}
		a := g.do("alice", "GET", "/v2/images/"+bad+"/tasks", nil).expect(http.StatusOK)
		if a.ids("tasks", "status")[0] != "failure" || !strings.Contains(a.ids("tasks", "message")[0], "does not match") {
			t.Fatalf("%s", a.body)
		}
		list := g.do("admin", "GET", "/v2/tasks?status=failure", nil).expect(http.StatusOK).ids("tasks", "id")
		if len(list) != 1 {
			t.Fatalf("failed tasks: %v", list)
		}
		g.do("admin", "GET", "/v2/tasks/"+list[0], nil).expect(http.StatusOK)
		if left := g.files(); len(left) != 1 || left[0] != good+".image" {
			t.Fatalf("files: %v", left)
		}
	})
}

// What a server that died in the middle leaves, at each point where it may
// die, is repaired by the next.
func TestCrash(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g := newGlance(t, d, nil)
		exec := func(query string, args ...any) {
			t.Helper()
			if err := d.Write(t.Context(), func(tx *db.Tx) error {
				_, err := tx.ExecContext(t.Context(), query, args...)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		file := func(name string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(g.dir, name), []byte("bytes"), 0o444); err != nil {
				t.Fatal(err)
			}
		}
		begun, renamed, importing, deleted := g.image("alice", nil), g.image("alice", nil), g.image("alice", nil), id.New()
		const die = "UPDATE image_images SET status = $1, transfer = 'dead' WHERE id = $2"
		exec(die, "saving", begun) // while bytes arrived
		file(begun + ".0123.part")
		exec(die, "saving", renamed) // after the rename, before the record
		file(renamed + ".image")
		exec(die, "importing", importing)
		file(importing + ".staged")
		file(deleted + ".image") // after the record was deleted, before the file was
		file("notes.txt")
		whole := g.image("alice", nil)
		g.do("alice", "PUT", "/v2/images/"+whole+"/file", []byte("whole")).expect(http.StatusNoContent)
		for range 2 {
			g.sweep()
			for _, image := range []string{begun, renamed, importing} {
				if s := g.status(image); s != "queued" {
					t.Fatalf("a dead transfer left %s", s)
				}
			}
			if left := g.files(); len(left) != 2 || g.status(whole) != "active" {
				t.Fatalf("files: %v", left)
			}
		}
		g.do("alice", "PUT", "/v2/images/"+renamed+"/file", []byte("again")).expect(http.StatusNoContent)
	})
}

// Verify tells of everything that does not fit together, and changes nothing.
func TestVerify(t *testing.T) {
	g := newGlance(t, dbtest.One(t), nil)
	var ids []string
	for range 4 {
		id := g.image("alice", nil)
		g.do("alice", "PUT", "/v2/images/"+id+"/file", []byte("bytes")).expect(http.StatusNoContent)
		ids = append(ids, id)
	}
	codes := func(deep bool) string {
		t.Helper()
		out := g.do("admin", "GET", fmt.Sprint("/v2/info/violations?deep=", deep), nil).expect(http.StatusOK).ids("violations", "code")
		slices.Sort(out)
		return strings.Join(out, " ")
	}
	g.do("alice", "GET", "/v2/info/violations", nil).expect(http.StatusForbidden)
	if got := codes(true); got != "" {
		t.Fatalf("a sound store: %s", got)
	}
	path := func(name string) string { return filepath.Join(g.dir, name) }
	if err := errors.Join(os.Remove(path(ids[0]+".image")), os.WriteFile(path(ids[1]+".image"), []byte("longer"), 0o600),
		os.WriteFile(path(ids[2]+".image"), []byte("BYTES"), 0o600), os.WriteFile(path(id.New()+".image"), nil, 0o600), os.WriteFile(path("x"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	const shallow = "I-08/missing-bytes I-08/size I-08/stray-bytes I-08/unknown-file"
	if got := codes(false); got != shallow {
		t.Errorf("found %s", got)
	}
	if got := codes(true); got != shallow+" I-21/digest" {
		t.Errorf("found %s", got)
	}
}

func TestQuota(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		g := newGlance(t, d, nil)
		q := quota.New("image", quota.Resource{Name: "image_size_total"}, quota.Resource{Name: "image_count_total"}, quota.Resource{Name: "image_stage_total"})
		if err := d.Write(t.Context(), func(tx *db.Tx) error {
			return q.Set(t.Context(), tx, "alice-project", map[string]int64{"image_size_total": 2, "image_count_total": 3, "image_stage_total": 0})
		}); err != nil {
			t.Fatal(err)
		}
		ids := []string{g.image("alice", nil), g.image("alice", nil), g.image("alice", nil)}
		g.do("alice", "POST", "/v2/images", fields{}).expect(http.StatusRequestEntityTooLarge)
		g.do("bob", "POST", "/v2/images", fields{}).expect(http.StatusCreated)
		g.do("alice", "PUT", "/v2/images/"+ids[0]+"/file", make([]byte, 1<<20)).expect(http.StatusNoContent)
		g.do("alice", "PUT", "/v2/images/"+ids[1]+"/file", make([]byte, 1<<20+1)).expect(http.StatusRequestEntityTooLarge)
		// a chunked upload does not say how long it is
		g.do("alice", "PUT", "/v2/images/"+ids[1]+"/file", io.LimitReader(zeros{}, 1<<20+1)).expect(http.StatusRequestEntityTooLarge)
		g.do("alice", "PUT", "/v2/images/"+ids[1]+"/stage", []byte("x")).expect(http.StatusRequestEntityTooLarge)
		if g.status(ids[1]) != "queued" || len(g.files()) != 1 {
			t.Fatalf("%s, %v", g.status(ids[1]), g.files())
		}
		g.do("alice", "PUT", "/v2/images/"+ids[1]+"/file", make([]byte, 1<<20)).expect(http.StatusNoContent)
		usage := g.do("alice", "GET", "/v2/info/usage", nil).json()["usage"].(fields)["image_size_total"].(fields)
		if usage["limit"] != 2.0 || usage["usage"] != 2.0 {
			t.Fatalf("%v", usage)
		}
		g.do("alice", "DELETE", "/v2/images/"+ids[0], nil).expect(http.StatusNoContent)
		g.do("alice", "PUT", "/v2/images/"+ids[2]+"/file", []byte("x")).expect(http.StatusNoContent)
	})
}

func TestDiskFullAndCap(t *testing.T) {
	g := newGlance(t, dbtest.One(t), func(d *imageapi.Deps) { d.Reserve = math.MaxInt64 / 2 })
	id := g.image("alice", nil)
	a := g.do("alice", "PUT", "/v2/images/"+id+"/file", []byte("x")).expect(http.StatusRequestEntityTooLarge)
	if !strings.Contains(string(a.body), "Image storage media is full") {
		t.Fatalf("%s", a.body)
	}
	if g.status(id) != "queued" || len(g.files()) != 0 {
		t.Fatalf("%s, %v", g.status(id), g.files())
	}
	small := newGlance(t, dbtest.One(t), func(d *imageapi.Deps) { d.SizeCap = 10 })
	id = small.image("alice", nil)
	small.do("alice", "PUT", "/v2/images/"+id+"/file", []byte("eleven byte")).expect(http.StatusRequestEntityTooLarge)
	small.do("alice", "PUT", "/v2/images/"+id+"/file", io.LimitReader(zeros{}, 11)).expect(http.StatusRequestEntityTooLarge)
	small.do("alice", "PUT", "/v2/images/"+id+"/file", []byte("ten bytes!")).expect(http.StatusNoContent)
}

type claims map[string]string

func (c claims) HostMayRead(_ context.Context, host, image string) (bool, error) {
	return c[host] == image, nil
}

// What other services and hosts see.
func TestContract(t *testing.T) {
	allowed := claims{}
	g := newGlance(t, dbtest.One(t), func(d *imageapi.Deps) { d.Claims = []image.Claims{claims{}, allowed} })
	s, ctx := g.service.Images(), t.Context()
	in := image.NewImage{ID: id.New(), Name: "snapshot", Owner: "alice-project", Disk: image.QCOW2, MinDisk: 1, Properties: map[string]string{"image_type": "snapshot"}}
	for range 2 {
		if err := s.Create(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	other := in
	other.Owner = "bob-project"
	if err := s.Create(ctx, other); !fault.Is(err, fault.Conflict) {
		t.Fatalf("the same id for another owner: %v", err)
	}
	if _, _, err := s.Open(ctx, in.ID); !fault.Is(err, fault.NotFound) {
		t.Fatalf("opened an image without bytes: %v", err)
	}
	if _, err := s.Fill(ctx, in.ID, iotest.ErrReader(io.ErrUnexpectedEOF)); err == nil {
		t.Fatal("a stream that broke off filled an image")
	}
	content := disk(t, "qcow2")
	for _, r := range []io.Reader{bytes.NewReader(content), iotest.ErrReader(errors.New("must not be read"))} {
		got, err := s.Fill(ctx, in.ID, r)
		if err != nil || !got.Usable() || got.Content != image.QCOW2 || got.VirtualSize != 1<<20 {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if _, err := s.Lookup(ctx, image.Viewer{ProjectID: "bob-project"}, in.ID); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a private image is shown to others: %v", err)
	}
	if i, err := s.Lookup(ctx, image.Viewer{ProjectID: "alice-project"}, in.ID); err != nil || i.Properties["image_type"] != "snapshot" {
		t.Fatalf("%+v, %v", i, err)
	}
	params := func(offset int64) json.RawMessage {
		b, err := json.Marshal(image.StreamParams{ID: in.ID, Offset: offset})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := g.service.Stream(ctx, "host-1", params(0)); !fault.Is(err, fault.NotFound) {
		t.Fatalf("a host without a claim: %v", err)
	}
	allowed["host-1"] = in.ID
	for _, offset := range []int64{0, 1000, int64(len(content))} {
		stream, err := g.service.Stream(ctx, "host-1", params(offset))
		if err != nil {
			t.Fatal(err)
		}
		head, err := image.ReadHead(stream)
		if err != nil || head.Format != image.QCOW2 || head.Size != int64(len(content)) || head.VirtualSize != 1<<20 || len(head.SHA512) != 128 {
			t.Fatalf("%+v, %v", head, err)
		}
		got, err := io.ReadAll(stream)
		if err != nil || !bytes.Equal(got, content[offset:]) {
			t.Fatalf("%d bytes from %d on, %v", len(got), offset, err)
		}
		stream.Close()
	}
	if _, err := g.service.Stream(ctx, "host-1", params(1<<40)); !fault.Is(err, fault.Invalid) {
		t.Fatalf("beyond the end: %v", err)
	}
	for range 2 {
		if err := s.Discard(ctx, in.ID); err != nil {
			t.Fatal(err)
		}
	}
	if left := g.files(); len(left) != 0 {
		t.Fatalf("left behind: %v", left)
	}
}
