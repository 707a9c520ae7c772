package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
)

// What a line says about its change.
const (
	opMade   = "made"
	opUndone = "undone"
)

// line is one record of the file: eight hexadecimal digits (CRC-32C of the
// rest), a blank, JSON, a newline.
type line struct {
	Op string `json:"op"`
	Change
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func render(lines []line) ([]byte, error) {
	var out bytes.Buffer
	for _, ln := range lines {
		text, err := json.Marshal(ln)
		if err != nil {
			return nil, fmt.Errorf("encode change: %w", err)
		}
		fmt.Fprintf(&out, "%08x %s\n", crc32.Checksum(text, castagnoli), text)
	}
	return out.Bytes(), nil
}

// parse reads all lines and says how many bytes of b are good. What follows
// the last good line is a torn write and is left out; a bad line that is
// followed by a good one is damage.
func parse(b []byte) (lines []line, good int, err error) {
	torn := false
	for pos := 0; pos < len(b); {
		end := bytes.IndexByte(b[pos:], '\n')
		if end < 0 {
			break
		}
		ln, ok := parseLine(b[pos : pos+end])
		pos += end + 1
		switch {
		case ok && torn:
			return nil, 0, fmt.Errorf("%w: line %d does not match its checksum", ErrDamaged, len(lines)+1)
		case ok:
			lines, good = append(lines, ln), pos
		default:
			torn = true
		}
	}
	return lines, good, nil
}

func parseLine(text []byte) (line, bool) {
	if len(text) < 10 || text[8] != ' ' {
		return line{}, false
	}
	sum, err := strconv.ParseUint(string(text[:8]), 16, 32)
	if err != nil || uint32(sum) != crc32.Checksum(text[9:], castagnoli) {
		return line{}, false
	}
	var ln line
	if err := json.Unmarshal(text[9:], &ln); err != nil || (ln.Op != opMade && ln.Op != opUndone) || ln.Kind == "" || ln.Name == "" {
		return line{}, false
	}
	return ln, true
}
