package agent

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/hostlink"
)

// The sizes of a journal: a record larger than maxRecord is damage, and a file
// of compactAt bytes that has grown fourfold since it was last compacted is
// written anew.
const (
	maxRecord = 128 << 20
	compactAt = 4 << 20
	headSize  = 8 // length and CRC-32C, little endian
	// reserved is room on the disk that the journal has beyond its end, so that a
	// host whose disk is full still learns what to remove.
	reserved = 4 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is one entry of the journal; exactly one member is set.
type record struct {
	Document *hostlink.Document `json:"document,omitempty"`
	Result   *result            `json:"result,omitempty"`
	Forget   string             `json:"forget,omitempty"`
	Sequence int64              `json:"sequence,omitempty"` // no report had a higher one
	Kept     *keptList          `json:"kept,omitempty"`
}

// result is the outcome of a command.
type result struct {
	Token string              `json:"token"`
	At    time.Time           `json:"at"`
	Value json.RawMessage     `json:"value,omitempty"`
	Error *hostlink.WireError `json:"error,omitempty"`
}

// keptList is everything that a section keeps, in place of what it kept before.
type keptList struct {
	Section hostlink.Section `json:"section"`
	Objects []hostlink.Kept  `json:"objects,omitempty"`
}

// saved is the sum of a journal's records.
type saved struct {
	documents map[hostlink.Section]hostlink.Document
	before    map[hostlink.Section]hostlink.Document // of an earlier epoch, until what it named is sorted out
	kept      map[hostlink.Section][]hostlink.Kept
	results   map[string]result
	sequence  int64
}

func newSaved() saved {
	return saved{documents: map[hostlink.Section]hostlink.Document{}, before: map[hostlink.Section]hostlink.Document{},
		kept: map[hostlink.Section][]hostlink.Kept{}, results: map[string]result{}}
}

func (s *saved) apply(r record) {
	switch {
	case r.Document != nil:
		name, old := r.Document.Section, s.documents[r.Document.Section]
		if _, waits := s.before[name]; !waits && old.Digest != "" && old.Epoch < r.Document.Epoch {
			s.before[name] = old
		}
		s.documents[name] = *r.Document
	case r.Kept != nil:
		delete(s.before, r.Kept.Section)
		s.kept[r.Kept.Section] = r.Kept.Objects
	case r.Result != nil:
		s.results[r.Result.Token] = *r.Result
	case r.Forget != "":
		delete(s.results, r.Forget)
	case r.Sequence > s.sequence:
		s.sequence = r.Sequence
	}
}

// records lists what is left, for compaction.
func (s *saved) records() []record {
	list := []record{{Sequence: s.sequence}}
	for name, objects := range s.kept { // in this order: a list of kept objects drops what came before
		list = append(list, record{Kept: &keptList{name, objects}})
	}
	for _, d := range s.before {
		list = append(list, record{Document: &d})
	}
	for _, d := range s.documents {
		list = append(list, record{Document: &d})
	}
	for _, r := range s.results {
		list = append(list, record{Result: &r})
	}
	return list
}

// Journal is the agent's memory on disk: records are appended and flushed,
// each with its checksum; a torn tail is dropped when it is opened. Safe for
// concurrent use. Without a file it remembers for as long as it lives.
type Journal struct {
	mu    sync.Mutex
	path  string
	disk  disk  // tests bring theirs
	file  file  // nil: in memory
	loose bool  // the file's name is not durable: the folder could not be flushed
	size  int64 // of the intact records
	large int64 // compactAt, but for tests
	floor int64 // size after the last compaction
	room  int64 // up to where there is room for it
	now   saved
}

// MemoryJournal is a journal without a file, for simulated hosts.
func MemoryJournal() *Journal { return &Journal{now: newSaved()} }

// OpenJournal opens or makes the journal in a directory, which it makes too (0700).
func OpenJournal(dir string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("directory of the journal: %w", err)
	}
	return openJournal(osDisk{}, filepath.Join(dir, "journal"))
}

func openJournal(d disk, path string) (*Journal, error) {
	j := &Journal{path: path, disk: d, large: compactAt, now: newSaved()}
	f, err := d.Open(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	raw, err := io.ReadAll(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read journal: %w", err), f.Close())
	}
	j.file = f
	j.size = int64(replay(raw, &j.now))
	j.floor = j.size
	if j.size < int64(len(raw)) {
		if err := j.cut(); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	if err := d.Flush(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	j.reserve()
	return j, nil
}

// replay applies the intact records at the beginning of raw and returns how
// many bytes they are.
func replay(raw []byte, into *saved) int {
	done := 0
	for len(raw)-done >= headSize {
		n := int(binary.LittleEndian.Uint32(raw[done:]))
		sum := binary.LittleEndian.Uint32(raw[done+4:])
		if n == 0 || n > maxRecord || n > len(raw)-done-headSize {
			break
		}
		body := raw[done+headSize : done+headSize+n]
		var r record
		if crc32.Checksum(body, castagnoli) != sum || json.Unmarshal(body, &r) != nil {
			break
		}
		into.apply(r)
		done += headSize + n
	}
	return done
}

func frame(r record) ([]byte, error) {
	body, err := hostlink.Encode(r) // a document's text is as its digest says
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	if len(body) > maxRecord {
		return nil, fmt.Errorf("record of %d bytes is too large", len(body))
	}
	out := make([]byte, headSize, headSize+len(body))
	binary.LittleEndian.PutUint32(out, uint32(len(body)))
	binary.LittleEndian.PutUint32(out[4:], crc32.Checksum(body, castagnoli))
	return append(out, body...), nil
}

// append makes a record durable. After an error the journal is as it was before.
func (j *Journal) append(r record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		j.now.apply(r)
		return nil
	}
	buf, err := frame(r)
	if err != nil {
		return err
	}
	if j.loose {
		if err := j.disk.Flush(filepath.Dir(j.path)); err != nil {
			return err
		}
		j.loose = false
	}
	if _, err := j.file.WriteAt(buf, j.size); err != nil {
		return errors.Join(fmt.Errorf("append to journal: %w", err), j.cut())
	}
	if err := j.file.Sync(); err != nil {
		return errors.Join(fmt.Errorf("flush journal: %w", err), j.cut())
	}
	j.size += int64(len(buf))
	j.now.apply(r)
	if j.size > j.large && j.size > 4*j.floor {
		if err := j.compact(); err != nil {
			j.floor = j.size / 2 // the record is durable; a shorter journal is tried again when this one has doubled
		}
	}
	if j.size > j.room-reserved/2 {
		j.reserve()
	}
	return nil
}

// reserve sets room aside for what is to come. Where there is none, or the file
// system cannot, appends find out for themselves.
func (j *Journal) reserve() {
	if j.file.Reserve(j.size, reserved) == nil {
		j.room = j.size + reserved
	}
}

// cut removes what follows the intact records.
func (j *Journal) cut() error {
	j.room = 0 // it goes with the tail
	if err := j.file.Truncate(j.size); err != nil {
		return fmt.Errorf("cut journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("flush journal: %w", err)
	}
	return nil
}

// compact writes the journal anew with what is still needed.
func (j *Journal) compact() error {
	f, err := j.disk.Open(j.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return fmt.Errorf("new journal: %w", err)
	}
	var size int64
	for _, r := range j.now.records() {
		buf, err := frame(r)
		if err == nil {
			_, err = f.Write(buf)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("write new journal: %w", err), f.Close())
		}
		size += int64(len(buf))
	}
	if err := f.Sync(); err != nil {
		return errors.Join(fmt.Errorf("flush new journal: %w", err), f.Close())
	}
	if err := j.disk.Rename(j.path+".new", j.path); err != nil {
		return errors.Join(fmt.Errorf("put new journal in place: %w", err), f.Close())
	}
	old := j.file
	j.file, j.size, j.floor, j.room = f, size, size, 0
	if err := j.disk.Flush(filepath.Dir(j.path)); err != nil {
		j.loose = true // until the folder is flushed the name may still mean the old file
	}
	_ = old.Close() // nothing will be read from it
	return nil
}

// snapshot copies what the journal knows.
func (j *Journal) snapshot() saved {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := newSaved()
	for _, r := range j.now.records() {
		out.apply(r)
	}
	return out
}

// Close closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}
