package image

import (
	"slices"

	"github.com/mekcloud/mek/internal/fault"
)

// Format is a disk format, in the API's spelling.
type Format string

// The formats that contents are told apart by. GPT is a raw disk with a
// partition table; Unsafe stands for formats that are recognised and never accepted.
const (
	Raw    Format = "raw"
	GPT    Format = "gpt"
	ISO    Format = "iso"
	LUKS   Format = "luks"
	QCOW2  Format = "qcow2"
	VMDK   Format = "vmdk"
	VHD    Format = "vhd"
	VHDX   Format = "vhdx"
	VDI    Format = "vdi"
	Ploop  Format = "ploop"
	AMI    Format = "ami"
	ARI    Format = "ari"
	AKI    Format = "aki"
	Unsafe Format = "unsafe"
)

// DiskFormats are the values of disk_format, in the order of the schema.
func DiskFormats() []string {
	return []string{"ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop", "gpt"}
}

// ContainerFormats are the values of container_format, in the order of the schema.
func ContainerFormats() []string {
	return []string{"ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"}
}

// plain are the contents that are a sequence of sectors and nothing else.
var plain = []Format{Raw, GPT, ISO, LUKS}

// accepted says which contents pass for a declared disk_format.
var accepted = map[Format][]Format{
	Raw: plain, AMI: plain, ARI: plain, AKI: plain,
	GPT: {GPT}, ISO: {ISO}, QCOW2: {QCOW2}, VMDK: {VMDK}, VHD: {VHD}, VHDX: {VHDX}, VDI: {VDI}, Ploop: {Ploop},
}

// Inspection is what the worker found in an image's bytes.
type Inspection struct {
	Format      Format `json:"format"`
	VirtualSize int64  `json:"virtual_size"`      // bytes; 0 when the format does not say
	Problem     string `json:"problem,omitempty"` // why the content must not be used; empty: it may
}

// Accept decides whether bytes may become the content of an image and gives
// the format that consumers have to use, empty for "not usable as a disk".
// Only a bare container promises that the bytes are the disk itself; in the
// others a content that nobody recognises is kept, but not used.
func Accept(disk Format, container string, found Inspection) (Format, error) {
	if found.Problem != "" {
		return "", fault.New(fault.UnsupportedMedia, "Image content is not safe: %s", found.Problem)
	}
	if found.Format == Unsafe {
		return "", fault.New(fault.UnsupportedMedia, "Image content has a format that is not accepted")
	}
	if slices.Contains(accepted[disk], found.Format) {
		return content(found.Format), nil
	}
	if container != "bare" && found.Format == Raw {
		return "", nil
	}
	return "", fault.New(fault.UnsupportedMedia, "Image disk_format %s does not match stream data %s", disk, found.Format)
}

// content folds the kinds of plain contents into the one name that tools use.
func content(f Format) Format {
	if slices.Contains(plain, f) {
		return Raw
	}
	return f
}
