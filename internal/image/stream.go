package image

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// StreamKind is the kind of stream by which hosts fetch images (hostlink's
// Upstream.Open), with StreamParams as parameters.
const StreamKind = "image"

// StreamParams asks for an image, from a byte on, so that a broken transfer goes on.
type StreamParams struct {
	ID     string `json:"id"`
	Offset int64  `json:"offset,omitempty"`
}

// StreamHead precedes the bytes on a stream: four bytes of length, big-endian,
// then this as JSON, then Size-Offset bytes of image.
type StreamHead struct {
	ID          string `json:"id"`
	Format      Format `json:"format"` // of the content: what tools must be told
	Size        int64  `json:"size"`   // of the whole image
	Offset      int64  `json:"offset"` // of the first byte that follows
	VirtualSize int64  `json:"virtual_size"`
	SHA512      string `json:"sha512"` // of the whole image, hexadecimal
}

const maxHead = 4096

// WriteHead begins a stream.
func WriteHead(w io.Writer, h StreamHead) error {
	body, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode stream head: %w", err)
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	if _, err := w.Write(append(frame, body...)); err != nil {
		return fmt.Errorf("write stream head: %w", err)
	}
	return nil
}

// ReadHead reads what WriteHead wrote, and not a byte more.
func ReadHead(r io.Reader) (StreamHead, error) {
	var h StreamHead
	var frame [4]byte
	if _, err := io.ReadFull(r, frame[:]); err != nil {
		return h, fmt.Errorf("read stream head: %w", err)
	}
	n := binary.BigEndian.Uint32(frame[:])
	if n > maxHead {
		return h, fmt.Errorf("read stream head: %d bytes are too many", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return h, fmt.Errorf("read stream head: %w", err)
	}
	if err := json.Unmarshal(body, &h); err != nil {
		return h, fmt.Errorf("read stream head: %w", err)
	}
	if h.Size < 0 || h.Offset < 0 || h.Offset > h.Size {
		return h, fmt.Errorf("read stream head: impossible sizes")
	}
	return h, nil
}
