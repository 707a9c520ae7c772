package archive

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/mekcloud/mek/internal/fault"
)

// Store keeps pieces by container, backup and name. Safe for concurrent use.
type Store interface {
	// Name is what the API calls the driver.
	Name() string
	// Put keeps a piece, whole or not at all, replacing one of the same name.
	// Conflict when there is no space.
	Put(ctx context.Context, at Place, name string, content []byte) error
	// Get gives a piece. NotFound when there is none.
	Get(ctx context.Context, at Place, name string) ([]byte, error)
	// Drop removes all pieces of a backup; a backup without any is fine.
	Drop(ctx context.Context, at Place) error
}

// Place is where a store keeps the pieces of one backup.
type Place struct {
	Container string `json:"container"`
	Backup    string `json:"backup"`
}

var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$`)

// Check refuses words that cannot be names in every store.
func (p Place) Check() error {
	if !plain.MatchString(p.Container) || !plain.MatchString(p.Backup) {
		return fault.Invalidf("Invalid input received: a container of backups has 1 to 255 letters, digits, dots, dashes and underscores, and begins with a letter or digit.")
	}
	return nil
}

const (
	chunk        = 4 << 20
	manifestName = "manifest"
	maxManifest  = 1 << 30 // bytes of one that are read
	version      = 1
)

// Manifest says what a backup consists of.
type Manifest struct {
	Version int     `json:"version"`
	Size    int64   `json:"size"` // bytes of the volume
	Chunk   int64   `json:"chunk"`
	Places  []Place `json:"places"` // the backup's own first
	Pieces  []Piece `json:"pieces"` // in the order of the volume
}

// Piece is a part of a volume. One without a hash is zeros.
type Piece struct {
	Hash   string `json:"h,omitempty"` // SHA-256 in hexadecimal
	Place  int    `json:"p,omitempty"` // index into Places
	Name   string `json:"n,omitempty"`
	Packed bool   `json:"z,omitempty"` // compressed by deflate
}

// Count is how many pieces the backup itself keeps.
func (m *Manifest) Count() int64 {
	var n int64
	for _, p := range m.Pieces {
		if p.Hash != "" && p.Place == 0 {
			n++
		}
	}
	return n
}

// check refuses a manifest that cannot have been written by Write.
func (m *Manifest) check() error {
	want := (m.Size + m.Chunk - 1) / max(m.Chunk, 1)
	ok := m.Version == version && m.Size >= 0 && m.Chunk > 0 && m.Chunk <= 1<<26 && len(m.Places) > 0 && int64(len(m.Pieces)) == want
	for _, p := range m.Places {
		ok = ok && p.Check() == nil
	}
	for _, p := range m.Pieces {
		ok = ok && p.Place >= 0 && p.Place < len(m.Places) && (p.Hash == "" || plain.MatchString(p.Name))
	}
	if !ok {
		return fault.Conflictf("The backup's manifest is damaged.")
	}
	return nil
}

// Write keeps the bytes of in. Of a parent it uses the pieces that are alike.
// Beginning again after a crash writes the same pieces anew.
func Write(ctx context.Context, s Store, at Place, in io.Reader, parent *Manifest) (*Manifest, error) {
	w := writer{store: s, manifest: &Manifest{Version: version, Chunk: chunk, Places: []Place{at}}, parent: parent, zeros: make([]byte, chunk)}
	buf := make([]byte, chunk)
	for {
		n, err := io.ReadFull(in, buf)
		if n > 0 {
			if err := w.piece(ctx, buf[:n]); err != nil {
				return nil, err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, fault.Unavailablef("The volume could not be read").Because(err)
		}
	}
	raw, err := json.Marshal(w.manifest)
	if err != nil {
		return nil, fault.Internalf("encode a manifest: %w", err)
	}
	return w.manifest, s.Put(ctx, at, manifestName, pack(raw))
}

type writer struct {
	store    Store
	manifest *Manifest
	parent   *Manifest
	places   map[Place]int
	zeros    []byte // to compare with
}

func (w *writer) piece(ctx context.Context, content []byte) error {
	m, i := w.manifest, len(w.manifest.Pieces)
	m.Size += int64(len(content))
	if bytes.Equal(content, w.zeros[:len(content)]) {
		m.Pieces = append(m.Pieces, Piece{})
		return nil
	}
	sum := sha256.Sum256(content)
	p := Piece{Hash: hex.EncodeToString(sum[:]), Name: fmt.Sprintf("%08d", i)}
	if w.parent != nil && w.parent.Chunk == m.Chunk && i < len(w.parent.Pieces) && w.parent.Pieces[i].Hash == p.Hash {
		p = w.parent.Pieces[i]
		p.Place = w.placeOf(w.parent.Places[p.Place])
		m.Pieces = append(m.Pieces, p)
		return nil
	}
	kept := content
	if packed := pack(content); len(packed) < len(content)-len(content)/16 {
		kept, p.Packed = packed, true
	}
	if err := w.store.Put(ctx, m.Places[0], p.Name, kept); err != nil {
		return err
	}
	m.Pieces = append(m.Pieces, p)
	return nil
}

func (w *writer) placeOf(p Place) int {
	if w.places == nil {
		w.places = map[Place]int{}
	}
	i, ok := w.places[p]
	if !ok {
		i = len(w.manifest.Places)
		w.places[p] = i
		w.manifest.Places = append(w.manifest.Places, p)
	}
	return i
}

func pack(content []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestSpeed) // the level is one there is
	_, _ = w.Write(content)                        // a buffer takes everything
	_ = w.Close()
	return out.Bytes()
}

func unpack(packed []byte, limit int64) ([]byte, error) {
	r := flate.NewReader(bytes.NewReader(packed))
	out, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(out)) > limit {
		err = errors.New("it is larger than it may be")
	}
	return out, errors.Join(err, r.Close())
}

// Load reads the manifest of a backup. NotFound when it has none.
func Load(ctx context.Context, s Store, at Place) (*Manifest, error) {
	if err := at.Check(); err != nil {
		return nil, err
	}
	packed, err := s.Get(ctx, at, manifestName)
	if err != nil {
		return nil, err
	}
	raw, err := unpack(packed, maxManifest)
	m := &Manifest{}
	if err == nil {
		err = json.Unmarshal(raw, m)
	}
	if err != nil {
		return nil, fault.Conflictf("The backup's manifest is damaged.").Because(err)
	}
	return m, m.check()
}

// Read gives the bytes of the volume, checked.
func Read(ctx context.Context, s Store, m *Manifest) io.Reader {
	return &reader{ctx: ctx, store: s, manifest: m}
}

type reader struct {
	ctx      context.Context //nolint:containedctx // a reader has no other way to end
	store    Store
	manifest *Manifest
	next     int
	at       int64
	left     []byte
}

func (r *reader) Read(b []byte) (int, error) {
	for len(r.left) == 0 {
		if r.next == len(r.manifest.Pieces) {
			return 0, io.EOF
		}
		content, err := r.piece()
		if err != nil {
			return 0, err
		}
		r.left, r.next, r.at = content, r.next+1, r.at+int64(len(content))
	}
	n := copy(b, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *reader) piece() ([]byte, error) {
	p, size := r.manifest.Pieces[r.next], min(r.manifest.Chunk, r.manifest.Size-r.at)
	if p.Hash == "" {
		return make([]byte, size), nil
	}
	content, err := r.store.Get(r.ctx, r.manifest.Places[p.Place], p.Name)
	if err != nil {
		return nil, err
	}
	if p.Packed {
		if content, err = unpack(content, size); err != nil {
			return nil, fault.Conflictf("A piece of the backup is damaged.").Because(err)
		}
	}
	sum := sha256.Sum256(content)
	if int64(len(content)) != size || hex.EncodeToString(sum[:]) != p.Hash {
		return nil, fault.Conflictf("A piece of the backup is damaged.")
	}
	return content, nil
}
