package servers

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
)

const (
	imageB = "88888888-8888-4888-8888-888888888888"
	imageR = "99999999-9999-4999-8999-999999999999" // says that it can rescue servers
)

// images is a model of the image service: those that are always there, and
// those that servers made.
type images struct {
	mu   sync.Mutex
	all  map[string]*image.Image
	made []string // in order
}

func newImages() *images {
	m := &images{all: map[string]*image.Image{}}
	for _, id := range []string{imageA, imageB, imageR} {
		m.all[id] = &image.Image{ID: id, Status: image.Active, Content: image.QCOW2, Size: 1 << 20, VirtualSize: 1 << 30,
			Properties: map[string]string{"os_distro": "tiny", "bittorrent": "x"}}
	}
	m.all[imageR].Properties["hw_rescue_device"] = "disk"
	return m
}

func (m *images) Lookup(_ context.Context, _ image.Viewer, id string) (*image.Image, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if one := m.all[id]; one != nil {
		c := *one
		return &c, nil
	}
	return nil, fault.NotFoundf("no such image")
}

func (m *images) Find(_ context.Context, owner string, want map[string]string) ([]*image.Image, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*image.Image
	for _, id := range slices.Backward(m.made) {
		one := m.all[id]
		if one == nil || one.Owner != owner || one.Status != image.Active {
			continue
		}
		has := true
		for k, v := range want {
			has = has && one.Properties[k] == v
		}
		if has {
			out = append(out, one)
		}
	}
	return out, nil
}

func (m *images) Open(context.Context, string) (*image.Image, image.Bytes, error) {
	return nil, nil, fault.NotFoundf("no such image")
}

func (m *images) Create(_ context.Context, in image.NewImage) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[in.ID] == nil {
		m.all[in.ID] = &image.Image{ID: in.ID, Name: in.Name, Owner: in.Owner, Status: image.Queued, Disk: in.Disk, Properties: in.Properties,
			MinDisk: in.MinDisk, Visibility: in.Visibility}
		m.made = append(m.made, in.ID)
	}
	return nil
}

func (m *images) Fill(_ context.Context, id string, r io.Reader) (*image.Image, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.all[id]
	if one == nil {
		return nil, fault.NotFoundf("no such image")
	}
	if one.Disk == image.QCOW2 && !strings.HasPrefix(string(text), "QFI\xfb") {
		return nil, fault.Invalidf("not a qcow2")
	}
	one.Status, one.Size, one.Content, one.VirtualSize = image.Active, int64(len(text)), one.Disk, 1<<30
	return one, nil
}

func (m *images) Discard(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, id)
	return nil
}

// of lists the images that servers made and that are still there.
func (m *images) of() []*image.Image {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*image.Image
	for _, id := range m.made {
		if one := m.all[id]; one != nil {
			out = append(out, one)
		}
	}
	return out
}

func (v *volumes) Snapshot(_ context.Context, in blockstorage.NewSnapshot) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.shots[in.ID] = in.VolumeID
	return nil
}

func (v *volumes) SnapshotReady(context.Context, string) error { return nil }

func (v *volumes) DiscardSnapshot(_ context.Context, id string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.shots, id)
	return nil
}

func (v *volumes) snapshots() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.shots)
}
