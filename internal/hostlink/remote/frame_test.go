package remote

import (
	"bytes"
	"testing"
)

func FuzzFrame(f *testing.F) {
	var good bytes.Buffer
	if err := writeFrame(&good, opening{Kind: "image", Params: []byte(`{"id":"x"}`)}); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add([]byte{0, 0, 0, 2, '{', '}'})
	f.Add([]byte{255, 255, 255, 255, 'x'})
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var o opening
		r := bytes.NewReader(raw)
		if readFrame(r, &o) != nil {
			return
		}
		var again bytes.Buffer
		if err := writeFrame(&again, o); err != nil {
			t.Fatalf("a frame that was read cannot be written: %v", err)
		}
		var same opening
		if err := readFrame(&again, &same); err != nil || same.Answer != o.Answer || same.Kind != o.Kind {
			t.Fatalf("%+v became %+v: %v", o, same, err)
		}
	})
}

func FuzzSubject(f *testing.F) {
	f.Add("node-1.example")
	f.Add("a b.>*")
	f.Fuzz(func(t *testing.T, host string) {
		got, ok := hostIn(toServer(host, sayBeat))
		if host != "" && (!ok || got != host) {
			t.Fatalf("%q became %q, %v", host, got, ok)
		}
		hostIn(host) // any text, no panic
	})
}
