package worker

import (
	"bytes"
	"errors"
	"io"

	"github.com/lima-vm/go-qcow2reader"
	"github.com/lima-vm/go-qcow2reader/image/parallels"
	"github.com/lima-vm/go-qcow2reader/image/qcow2"
	"github.com/lima-vm/go-qcow2reader/image/raw"
	"github.com/lima-vm/go-qcow2reader/image/vdi"
	"github.com/lima-vm/go-qcow2reader/image/vhdx"
	"github.com/lima-vm/go-qcow2reader/image/vmdk"
	"github.com/lima-vm/go-qcow2reader/image/vpc"

	lima "github.com/lima-vm/go-qcow2reader/image"

	"github.com/mekcloud/mek/internal/image"
)

// errTorn says that a header ends too early or contradicts itself.
var errTorn = errors.New("its header is damaged")

// unsafeContent is a reason why a recognised content must not be used. It is shown to users.
type unsafeContent string

func (u unsafeContent) Error() string { return string(u) }

// parser reads the header of one format: the size that a guest sees, or an
// unsafeContent or errTorn error. size is that of the file.
type parser func(r io.ReaderAt, size int64) (int64, error)

var parsers = map[image.Format]parser{
	image.QCOW2: parseQCOW2, image.VMDK: parseVMDK, image.VHD: parseVHD,
	image.VHDX: parseVHDX, image.VDI: parseVDI, image.Ploop: parsePloop,
}

// names maps what go-qcow2reader recognises; what is not here is never accepted.
var names = map[lima.Type]image.Format{
	vmdk.Type: image.VMDK, vhdx.Type: image.VHDX, vdi.Type: image.VDI, parallels.Type: image.Ploop, vpc.Type: image.VHD,
}

// magics are contents that go-qcow2reader does not know, by bytes at an offset.
var magics = []struct {
	at     int64
	bytes  string
	format image.Format
}{
	{0, qcow2.Magic, image.QCOW2},
	{0, "QED\x00", image.Unsafe},
	{0, "LUKS\xba\xbe", image.LUKS},
	{0x8001, "CD001", image.ISO},
	{512, "EFI PART", image.GPT},
}

// Inspect finds out what the bytes are and whether they are safe to use. It
// reads headers only. declared matters for one format: a fixed VHD is a raw
// disk with a footer, and taken for what it is said to be.
func Inspect(r io.ReaderAt, size int64, declared image.Format) image.Inspection {
	format := recognise(r, size, declared)
	parse, rich := parsers[format]
	if !rich {
		return image.Inspection{Format: format, VirtualSize: size}
	}
	virtual, err := parse(r, size)
	found := image.Inspection{Format: format, VirtualSize: virtual}
	var why unsafeContent
	switch {
	case errors.As(err, &why):
		found.Problem = string(why)
	case err != nil:
		found.Problem = errTorn.Error()
	case virtual < 0 || virtual > maxVirtual:
		found.Problem = "its size is out of range"
	}
	if found.Problem != "" {
		found.VirtualSize = 0
	}
	return found
}

const maxVirtual = 1 << 53 // bytes; far beyond any disk, and exact in JSON

func recognise(r io.ReaderAt, size int64, declared image.Format) image.Format {
	for _, m := range magics {
		got := make([]byte, len(m.bytes))
		if _, err := r.ReadAt(got, m.at); err == nil && string(got) == m.bytes {
			return m.format
		}
	}
	for _, t := range qcow2reader.Types {
		if t == qcow2.Type || t == raw.Type {
			continue
		}
		// the types left are stubs there: they look at the first bytes only
		img, err := qcow2reader.OpenWithType(r, t)
		if err != nil {
			continue
		}
		img.Close() // closes nothing: r is ours
		if f, ok := names[t]; ok {
			return f
		}
		return image.Unsafe
	}
	if declared == image.VHD && hasFooter(r, size) {
		return image.VHD
	}
	return image.Raw
}

// read fetches n bytes at an offset, all or errTorn.
func read(r io.ReaderAt, at int64, n int) ([]byte, error) {
	if at < 0 {
		return nil, errTorn
	}
	b := make([]byte, n)
	if _, err := r.ReadAt(b, at); err != nil {
		return nil, errTorn
	}
	return b, nil
}

func zero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }
