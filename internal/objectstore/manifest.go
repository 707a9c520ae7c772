package objectstore

import (
	"crypto/md5" //nolint:gosec // the ETag of the wire
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/mekcloud/mek/internal/fault"
)

// MaxManifestSize is the most bytes of a manifest.
const MaxManifestSize = 8 << 20

// Segment is one part of a static large object, as its manifest keeps it: an
// object or a range of it, or bytes in the manifest itself.
type Segment struct {
	Name     string // "/container/object"; empty: Data
	Bytes    int64
	Hash     string
	Type     string
	Modified string
	Range    string // "first-last"
	SubSLO   bool   // itself a static large object
	Data     []byte
}

// storedSegment is a segment's JSON; rawSegment is how clients put it.
type (
	storedSegment struct {
		Name     string `json:"name"`
		Bytes    int64  `json:"bytes"`
		Hash     string `json:"hash"`
		Type     string `json:"content_type"`
		Modified string `json:"last_modified"`
		Range    string `json:"range,omitempty"`
		SubSLO   bool   `json:"sub_slo,omitempty"`
	}
	rawSegment struct {
		ETag  string `json:"etag"`
		Path  string `json:"path"`
		Range string `json:"range,omitempty"`
		Bytes int64  `json:"size_bytes"`
	}
	inlineSegment struct {
		Data []byte `json:"data"`
	}
)

// MarshalJSON writes a segment as Swift stores it.
func (s Segment) MarshalJSON() ([]byte, error) {
	if s.Name == "" {
		return json.Marshal(inlineSegment{s.Data})
	}
	return json.Marshal(storedSegment{s.Name, s.Bytes, s.Hash, s.Type, s.Modified, s.Range, s.SubSLO})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Segment) UnmarshalJSON(text []byte) error {
	var both struct {
		storedSegment
		inlineSegment
	}
	if err := json.Unmarshal(text, &both); err != nil {
		return fmt.Errorf("segment: %w", err)
	}
	o := both.storedSegment
	*s = Segment{o.Name, o.Bytes, o.Hash, o.Type, o.Modified, o.Range, o.SubSLO, both.Data}
	return nil
}

// RawManifest writes a manifest as a client would put it.
func RawManifest(segments []Segment) ([]byte, error) {
	out := make([]any, len(segments))
	for i, s := range segments {
		out[i] = rawSegment{s.Hash, s.Name, s.Range, s.Bytes}
		if s.Name == "" {
			out[i] = inlineSegment{s.Data}
		}
	}
	return json.Marshal(out)
}

// ParseManifest reads a stored manifest.
func ParseManifest(text []byte) ([]Segment, error) {
	var segments []Segment
	if err := json.Unmarshal(text, &segments); err != nil {
		return nil, fault.Internalf("stored manifest: %w", err)
	}
	return segments, nil
}

// StaticETag is the ETag of a static large object.
func StaticETag(segments []Segment) string {
	sum := md5.New() //nolint:gosec // the ETag of the wire
	for _, s := range segments {
		switch {
		case s.Name == "":
			inner := md5.Sum(s.Data) //nolint:gosec // the ETag of the wire
			sum.Write([]byte(hex.EncodeToString(inner[:])))
		case s.Range != "":
			fmt.Fprintf(sum, "%s:%s;", s.Hash, s.Range)
		default:
			sum.Write([]byte(s.Hash))
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}
