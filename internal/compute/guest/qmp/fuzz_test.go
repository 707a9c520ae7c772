package qmp

import (
	"bytes"
	"testing"
)

// FuzzReader feeds the reader what a hijacked QEMU could send: it must end,
// and never hold more than one message.
func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}}` + "\r\n"))
	f.Add([]byte(`{"return": {}, "id": 1}` + "\r\n" + `{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": true}}` + "\r\n"))
	f.Add([]byte(`{"error": {"class": "GenericError", "desc": "no"}, "id": 18446744073709551615}` + "\n"))
	f.Add([]byte("\r\n\r\n{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newReader(bytes.NewReader(data))
		for n := 0; ; n++ {
			if n > len(data) {
				t.Fatalf("%d messages out of %d bytes", n, len(data))
			}
			if _, err := r.next(); err != nil {
				return
			}
		}
	})
}
