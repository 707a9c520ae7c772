package http1

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// together is how much of an answer is kept until it is sent.
	together = 16 << 10
	// measured is how much is kept until its length is known, as by net/http;
	// what is longer is sent in chunks.
	measured = 2 << 10
	// spare is how large the room of an answer may be that is used for another.
	spare = 2 * together
	// unknown is a length that nobody has said.
	unknown = -1
)

// response is the http.ResponseWriter of one request after the other.
type response struct {
	conn   *conn
	req    *http.Request
	header http.Header
	out    []byte // what is not sent yet; without the end of the head while that is open

	status  int  // 0: not said yet
	open    bool // the head's end is not written
	untyped bool // nobody has said what the body is
	chunked bool
	empty   bool  // there is no body, whatever is written
	length  int64 // said
	written int64
	body    []byte // while the head is open
	last    bool   // the connection ends with it
}

func (w *response) begin(c *conn, req *http.Request, out []byte) {
	header := w.header
	if clear(header); header == nil {
		header = make(http.Header, 16)
	}
	*w = response{conn: c, req: req, header: header, out: out}
}

// Header is the answer's, until its status is said.
func (w *response) Header() http.Header { return w.header }

// WriteHeader says the status. The head stays open until it is known what follows.
func (w *response) WriteHeader(status int) {
	if w.status != 0 || status < 200 {
		return // net/http complains of the first in its log; nobody here sends interim answers
	}
	w.status, w.open, w.length = status, true, unknown
	w.empty = w.req.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	if text := w.header["Content-Length"]; len(text) == 1 {
		if n, err := strconv.ParseInt(text[0], 10, 64); err == nil && n >= 0 {
			w.length = n
		} else {
			delete(w.header, "Content-Length")
		}
	}
	_, said := w.header["Content-Type"]
	w.untyped = !said && w.header.Get("Content-Encoding") == ""
	w.head()
}

// head writes the status and all headers.
func (w *response) head() {
	b := append(w.out, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(b, ' ')
	b = append(b, http.StatusText(w.status)...)
	b = append(b, lineEnd...)
	for name, values := range w.header {
		if !named([]byte(name)) || name == "Transfer-Encoding" {
			continue
		}
		for _, v := range values {
			b = field(b, name, v)
		}
		w.last = w.last || name == "Connection" && len(values) > 0 && strings.EqualFold(values[0], "close")
	}
	if w.header["Date"] == nil {
		b = append(b, "Date: "...)
		b = w.conn.server.Clock.Now().UTC().AppendFormat(b, http.TimeFormat)
		b = append(b, lineEnd...)
	}
	w.out = b
}

var onOneLine = strings.NewReplacer("\r", " ", "\n", " ")

// field writes one header; a value cannot begin another line.
func field(b []byte, name, value string) []byte {
	if strings.ContainsAny(value, "\r\n") {
		value = onOneLine.Replace(value)
	}
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, strings.TrimSpace(value)...)
	return append(b, lineEnd...)
}

func (w *response) Write(p []byte) (int, error) {
	if err := w.count(int64(len(p))); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if w.open {
		w.sniff(p)
		if w.length == unknown && w.written <= measured {
			w.body = append(w.body, p...)
			return len(p), nil
		}
		w.end()
	}
	if w.empty {
		return len(p), nil
	}
	if len(w.out)+len(p) > together {
		if err := w.send(); err != nil {
			return 0, err
		}
	}
	switch {
	case w.chunked:
		w.chunk(p)
	case len(p) >= together:
		return w.conn.Write(p)
	default:
		w.out = append(w.out, p...)
	}
	return len(p), nil
}

// count says the status if nobody has, and refuses a body that may not be.
func (w *response) count(n int64) error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case n == 0:
		return nil
	case w.status == http.StatusNoContent || w.status == http.StatusNotModified:
		return http.ErrBodyNotAllowed
	case w.length != unknown && w.written+n > w.length:
		w.last = w.last || !w.empty // it may believe that more was sent
		return http.ErrContentLength
	}
	w.written += n
	return nil
}

// sniff names the type of a body that has none, as net/http does.
func (w *response) sniff(p []byte) {
	if w.untyped {
		w.out = field(w.out, "Content-Type", http.DetectContentType(p))
		w.untyped = false
	}
}

// end writes the head's end where more may come: in chunks, if nobody knows how much.
func (w *response) end() {
	w.open = false
	if w.chunked = w.length == unknown && !w.empty; w.chunked {
		w.out = append(w.out, "Transfer-Encoding: chunked\r\n"...)
	}
	w.out = append(w.out, lineEnd...)
	if w.chunked {
		w.chunk(w.body)
	}
	w.body = w.body[:0]
}

func (w *response) chunk(p []byte) {
	if len(p) == 0 {
		return // it would be the last one
	}
	w.out = strconv.AppendInt(w.out, int64(len(p)), 16)
	w.out = append(w.out, lineEnd...)
	w.out = append(w.out, p...)
	w.out = append(w.out, lineEnd...)
}

// ReadFrom sends a body of known length from a file without it passing through
// this process.
func (w *response) ReadFrom(r io.Reader) (n int64, err error) {
	to, direct := w.conn.Conn.(io.ReaderFrom)
	if !direct || w.status == 0 || w.length == unknown || w.empty || w.untyped {
		return io.Copy(struct{ io.Writer }{w}, r)
	}
	if w.open {
		w.end()
	}
	if err := w.send(); err != nil {
		return 0, err
	}
	part, limited := r.(*io.LimitedReader)
	if !limited {
		part = &io.LimitedReader{R: r, N: w.length - w.written}
	}
	if part.N > w.length-w.written {
		return 0, http.ErrContentLength
	}
	n, err = to.ReadFrom(part)
	w.written += n
	return n, err
}

// Flush is FlushError for those who do not ask.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError sends what there is. For http.ResponseController.
func (w *response) FlushError() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.open {
		w.end()
	}
	return w.send()
}

func (w *response) send() error {
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.conn.Write(w.out)
	w.out = w.out[:0]
	return err
}

// SetWriteDeadline bounds how long the client may take. For http.ResponseController.
func (w *response) SetWriteDeadline(t time.Time) error { return w.conn.SetWriteDeadline(t) }

// finish sends what is left, once the handler is done.
func (w *response) finish() error {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.open {
		w.open = false
		if w.length == unknown && (!w.empty || w.req.Method == http.MethodHead && w.written > 0) {
			w.out = append(w.out, "Content-Length: "...)
			w.out = strconv.AppendInt(w.out, w.written, 10)
			w.out = append(w.out, lineEnd...)
		}
		w.out = append(w.out, lineEnd...)
		if !w.empty {
			w.out = append(w.out, w.body...)
		}
	}
	if w.chunked {
		w.out = append(w.out, "0\r\n\r\n"...)
	}
	err := w.send()
	if err == nil && !w.empty && w.length != unknown && w.written != w.length {
		return fmt.Errorf("the answer is %d bytes of %d: %w", w.written, w.length, io.ErrShortWrite)
	}
	return err
}
