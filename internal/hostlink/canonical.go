package hostlink

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Canonical is the one JSON text of a value: members sorted by name, no blanks,
// numbers as they were written. Equal values of different Go types give equal bytes.
func Canonical(v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var plain any
	if err := dec.Decode(&plain); err != nil {
		return nil, fmt.Errorf("decode again: %w", err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(plain); err != nil { // maps are written in the order of their keys
		return nil, fmt.Errorf("encode canonically: %w", err)
	}
	return json.RawMessage(bytes.TrimRight(out.Bytes(), "\n")), nil
}

// NewDocument makes a document of a body, which it puts into canonical form.
func NewDocument(section Section, revision int64, body any) (Document, error) {
	raw, err := Canonical(body)
	if err != nil {
		return Document{}, fmt.Errorf("document of %s: %w", section, err)
	}
	return Document{Section: section, Revision: revision, Digest: digest(raw), Body: raw}, nil
}

// Intact tells whether the digest is that of the body.
func (d Document) Intact() bool { return d.Digest == digest(d.Body) }

// Held is what the other side needs to know of a document it has.
func (d Document) Held() Held {
	return Held{Section: d.Section, Revision: d.Revision, Digest: d.Digest, Epoch: d.Epoch}
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
