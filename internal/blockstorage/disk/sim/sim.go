package sim

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/blockstorage/disk"
	"github.com/mekcloud/mek/internal/fault"
)

// Config is how a simulated host behaves.
type Config struct {
	TotalBytes int64                      // 0: 1 TiB
	Slow       time.Duration              // each volume with a source takes so long
	Fail       func(spec disk.Spec) error // nil, or consulted before each volume is made
}

// Driver keeps volumes in memory.
type Driver struct {
	cfg  Config
	mu   sync.Mutex
	here map[string]kept
}

type kept struct {
	facts  disk.Facts
	kind   disk.Kind
	origin string // whose content it has: an image, or itself for an empty volume
	epoch  int64
}

var _ disk.Driver = (*Driver)(nil)

// New makes an empty host.
func New(cfg Config) *Driver {
	if cfg.TotalBytes == 0 {
		cfg.TotalBytes = 1 << 40
	}
	return &Driver{cfg: cfg, here: map[string]kept{}}
}

// List tells of everything that is kept.
func (d *Driver) List(context.Context) ([]disk.Facts, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []disk.Facts
	for _, k := range d.here {
		list = append(list, k.facts)
	}
	slices.SortFunc(list, func(a, b disk.Facts) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// Ensure makes or grows a volume.
func (d *Driver) Ensure(ctx context.Context, spec disk.Spec) (disk.Facts, error) {
	if err := spec.Check(); err != nil {
		return disk.Facts{}, err
	}
	d.mu.Lock()
	k, ok := d.here[spec.ID]
	d.mu.Unlock()
	if ok && k.epoch < spec.Epoch { // the old content stays until the new one is there
		ok = false
	}
	if !ok && spec.Made {
		return disk.Facts{}, disk.Lost(spec.ID)
	}
	if !ok {
		var err error
		if k, err = d.create(ctx, spec); err != nil {
			return disk.Facts{}, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	k.facts.SizeBytes = max(k.facts.SizeBytes, spec.SizeBytes)
	if d.used(spec.ID)+k.facts.SizeBytes > d.cfg.TotalBytes {
		return disk.Facts{}, fault.Conflictf("There is not enough space on the host")
	}
	d.here[spec.ID] = k
	return k.facts, nil
}

func (d *Driver) create(ctx context.Context, spec disk.Spec) (kept, error) {
	if d.cfg.Fail != nil {
		if err := d.cfg.Fail(spec); err != nil {
			return kept{}, err
		}
	}
	k := kept{facts: disk.Facts{ID: spec.ID, SizeBytes: spec.SizeBytes, Format: disk.Raw}, kind: spec.Kind, epoch: spec.Epoch}
	if spec.Source.Kind != disk.None && d.cfg.Slow > 0 {
		t := time.NewTimer(d.cfg.Slow)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return kept{}, ctx.Err()
		case <-t.C:
		}
	}
	switch spec.Source.Kind {
	case disk.FromImage:
		k.origin = "image " + spec.Source.ID
	case disk.FromHost:
		k.origin = "moved " + spec.Source.ID
	case disk.FromBackup:
		k.origin = "backup " + spec.Source.ID
	case disk.FromSnapshot, disk.FromVolume:
		d.mu.Lock()
		source, ok := d.here[spec.Source.ID]
		d.mu.Unlock()
		if !ok {
			return kept{}, fault.NotFoundf("volume %s is not on this host", spec.Source.ID)
		}
		if source.facts.SizeBytes > spec.SizeBytes {
			return kept{}, fault.Invalidf("The source has %d bytes, more than the %d of the volume", source.facts.SizeBytes, spec.SizeBytes)
		}
		k.origin = source.origin
	}
	return k, nil
}

// used counts what others take. The caller holds mu.
func (d *Driver) used(but string) int64 {
	var sum int64
	for id, k := range d.here {
		if id != but {
			sum += k.facts.SizeBytes
		}
	}
	return sum
}

// Destroy removes a volume.
func (d *Driver) Destroy(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.here, id)
	return nil
}

// Locate tells where a volume would be.
func (d *Driver) Locate(_ context.Context, id string) (disk.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.here[id]
	if !ok {
		return disk.File{}, fault.Unavailablef("volume %s is not on this host yet", id)
	}
	return disk.File{Path: "/dev/null", Format: disk.Raw, ReadOnly: k.kind == disk.Snapshot}, nil
}

// Open reads a volume: the name of its content, then zeros.
func (d *Driver) Open(_ context.Context, id string) (io.ReadCloser, disk.Facts, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, ok := d.here[id]
	if !ok {
		return nil, disk.Facts{}, fault.NotFoundf("volume %s is not on this host", id)
	}
	name := []byte(k.origin)
	rest := io.LimitReader(zeros{}, k.facts.SizeBytes-int64(len(name)))
	return io.NopCloser(io.MultiReader(bytes.NewReader(name), rest)), k.facts, nil
}

// Space counts.
func (d *Driver) Space(context.Context) (disk.Space, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return disk.Space{Total: d.cfg.TotalBytes, Free: d.cfg.TotalBytes - d.used("")}, nil
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
