package remote

import (
	"errors"
	"io"
	"net"
)

// errCut is what the reader of a stream gets whose sender died. Package tls
// takes an end of the connection between two records for the end of the data;
// a killed sender leaves just that.
var errCut = errors.New("the stream was cut off")

// whole is a connection whose end without TLS's closing record is an error.
type whole struct{ net.Conn }

func (w whole) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err == io.EOF {
		err = errCut
	}
	return n, err
}

// wholeListener makes every accepted connection whole.
type wholeListener struct{ net.Listener }

func (l wholeListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return whole{c}, nil
}
