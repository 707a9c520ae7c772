package chunked

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// Limits.
const (
	maxLine  = 4 << 10 // bytes of a chunk's first line or of a trailer
	minChunk = 8192    // bytes of a signed chunk that is not the last
	// TrailerSignature is the trailer that signs the others.
	TrailerSignature = "x-amz-trailer-signature"
)

// Checker checks signatures; nil for unsigned bodies.
type Checker interface {
	Chunk(sum, signature string) bool
	Trailer(canonical, signature string) bool
}

// Options describe a body.
type Options struct {
	Size     int64    // bytes it decodes to
	Trailers []string // names that must come, in lower case; without the signature
	Checker  Checker  // nil: unsigned
	// SignedTrailers asks for a signature over the trailers.
	SignedTrailers bool
	// Mismatch is the answer to a wrong signature.
	Mismatch func() error
}

// Reader decodes a body.
type Reader struct {
	in        *bufio.Reader
	o         Options
	left      int64 // of the chunk
	taken     int64 // of the body
	number    int
	last      int64 // size of the chunk before
	signature string
	sum       hash.Hash
	trailers  map[string]string
	err       error // sticky
}

// New reads a body from in.
func New(in io.Reader, o Options) *Reader {
	return &Reader{in: bufio.NewReaderSize(in, 32<<10), o: o, last: -1, sum: sha256.New(), trailers: map[string]string{}}
}

// Trailer is a trailer's value, once the body has ended.
func (r *Reader) Trailer(name string) string { return r.trailers[name] }

// Read decodes.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.read(p)
	r.err = err
	return n, err
}

func (r *Reader) read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.left == 0 {
		size, err := r.begin()
		if err != nil {
			return 0, err
		}
		if size == 0 {
			return 0, r.finish()
		}
	}
	n, err := r.in.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	r.taken += int64(n)
	if r.o.Checker != nil {
		r.sum.Write(p[:n])
	}
	if r.left == 0 {
		return n, r.end()
	}
	if err != nil {
		return n, broken(err)
	}
	return n, nil
}

// begin reads a chunk's first line: its size and its signature.
func (r *Reader) begin() (int64, error) {
	line, err := r.line()
	if err != nil {
		return 0, err
	}
	digits, extension, _ := strings.Cut(line, ";")
	size, err := strconv.ParseInt(digits, 16, 64)
	if err != nil || size < 0 || digits[0] == '+' || digits[0] == '-' {
		return 0, failure.Newf(failure.IncompleteBody, "The request body terminated unexpectedly")
	}
	r.number++
	if r.o.Checker != nil && r.last >= 0 && r.last < minChunk && size > 0 {
		return 0, failure.New(failure.InvalidChunkSize).With("Chunk", strconv.Itoa(r.number)).With("BadChunkSize", strconv.FormatInt(r.last, 10))
	}
	if size > r.o.Size-r.taken {
		return 0, r.wrongSize(r.taken + size)
	}
	if r.o.Checker != nil {
		name, value, _ := strings.Cut(extension, "=")
		if r.signature = strings.TrimSpace(value); strings.TrimSpace(name) != "chunk-signature" || r.signature == "" {
			return 0, r.o.Mismatch()
		}
		r.sum.Reset()
	}
	r.left, r.last = size, size
	return size, nil
}

// end checks a chunk whose bytes were read.
func (r *Reader) end() error {
	if err := r.check(); err != nil {
		return err
	}
	var crlf [2]byte
	if _, err := io.ReadFull(r.in, crlf[:]); err != nil || crlf != [2]byte{'\r', '\n'} {
		return broken(err)
	}
	return nil
}

func (r *Reader) check() error {
	if r.o.Checker != nil && !r.o.Checker.Chunk(hex.EncodeToString(r.sum.Sum(nil)), r.signature) {
		return r.o.Mismatch()
	}
	return nil
}

// finish reads what comes behind the last chunk.
func (r *Reader) finish() error {
	if err := r.check(); err != nil {
		return err
	}
	if r.taken != r.o.Size {
		return r.wrongSize(r.taken)
	}
	if err := r.readTrailers(); err != nil {
		return err
	}
	for _, name := range r.o.Trailers {
		if _, ok := r.trailers[name]; !ok {
			return failure.New(failure.MalformedTrailer)
		}
	}
	if r.o.SignedTrailers && r.o.Checker != nil && !r.o.Checker.Trailer(r.canonical(), r.trailers[TrailerSignature]) {
		return r.o.Mismatch()
	}
	return io.EOF
}

// readTrailers reads lines up to an empty one; some clients leave that out.
func (r *Reader) readTrailers() error {
	for {
		line, err := r.line()
		if ended(err) && len(r.trailers) == len(r.o.Trailers) && !r.o.SignedTrailers {
			return nil
		}
		if err != nil {
			return err
		}
		if line == "" {
			return nil
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || !slices.Contains(r.o.Trailers, name) && !(r.o.SignedTrailers && name == TrailerSignature) {
			return failure.New(failure.MalformedTrailer)
		}
		r.trailers[name] = strings.TrimSpace(value)
	}
}

// canonical is the trailers as they are signed.
func (r *Reader) canonical() string {
	var b strings.Builder
	for _, name := range slices.Sorted(slices.Values(r.o.Trailers)) {
		b.WriteString(name + ":" + r.trailers[name] + "\n")
	}
	if b.Len() == 0 {
		return "\n"
	}
	return b.String()
}

// line reads a line that ends in CR LF, without them. Chunks of SDKs end trailers
// with a bare line feed at times.
func (r *Reader) line() (string, error) {
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return "", failure.Newf(failure.IncompleteBody, "The request body terminated unexpectedly")
		}
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", broken(err)
		}
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
}

func (r *Reader) wrongSize(got int64) error {
	return failure.New(failure.IncompleteBody).With("NumberBytesExpected", strconv.FormatInt(r.o.Size, 10)).
		With("NumberBytesProvided", strconv.FormatInt(got, 10))
}

func broken(cause error) error {
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF // the end of the stream is not the end of the body
	}
	return failure.Newf(failure.IncompleteBody, "The request body terminated unexpectedly").Because(cause)
}

func ended(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }
