package sim

import (
	"context"
	"encoding/binary"
	"io"
	"net"
)

// VNC greets as a VNC server does that asks for no password, describes a screen
// on which nothing is ever drawn, and then swallows what comes.
func (d *Driver) VNC(_ context.Context, guestID string) (io.ReadWriteCloser, error) {
	if err := d.running(guestID); err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	go func() {
		if greet(theirs) == nil {
			_, _ = io.Copy(io.Discard, theirs) // until the other end is closed
		}
		_ = theirs.Close() // nobody is there any more
	}()
	return ours, nil
}

// greet is the handshake of RFC 6143, section 7.1 to 7.3: what is sent, each
// time after so many bytes of the client.
func greet(conn io.ReadWriter) error {
	const version = "RFB 003.008\n"
	for _, step := range []struct {
		say    []byte
		listen int
	}{
		{[]byte(version), len(version)},
		{[]byte{1, 1}, 1},       // one way to log in: none
		{[]byte{0, 0, 0, 0}, 1}, // it was good
		{screen("simulated"), 0},
	} {
		if _, err := conn.Write(step.say); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, conn, int64(step.listen)); err != nil {
			return err
		}
	}
	return nil
}

// screen is the message ServerInit.
func screen(name string) []byte {
	out := binary.BigEndian.AppendUint16(nil, 640)
	out = binary.BigEndian.AppendUint16(out, 480)
	// 32 bits per pixel of which 24 count, little endian, true colour: red, green and blue
	out = append(out, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint32(out, uint32(len(name)))
	return append(out, name...)
}
