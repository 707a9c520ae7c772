package image_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mekcloud/mek/internal/automaton"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
)

func TestTransitions(t *testing.T) {
	may := func(from, to image.Status) bool { return image.Life().May(string(from), string(to), false) }
	for _, s := range image.Statuses() {
		if may(s, s) {
			t.Errorf("%s may become itself", s)
		}
		if s != image.Deleted && !may(s, automaton.Gone) { // rows of deleted images are gone
			t.Errorf("%s cannot be deleted", s)
		}
	}
	if may(image.Active, image.Saving) || !may(image.Saving, image.Queued) || !may(image.Deactivated, image.Active) {
		t.Error("the automaton is not the published one")
	}
}

func TestAccept(t *testing.T) {
	for _, c := range []struct {
		disk      image.Format
		container string
		found     image.Inspection
		want      image.Format
		refused   bool
	}{
		{"raw", "bare", image.Inspection{Format: "gpt"}, "raw", false},
		{"raw", "bare", image.Inspection{Format: "iso"}, "raw", false},
		{"iso", "bare", image.Inspection{Format: "iso"}, "raw", false},
		{"ami", "ami", image.Inspection{Format: "raw"}, "raw", false},
		{"qcow2", "bare", image.Inspection{Format: "qcow2"}, "qcow2", false},
		{"qcow2", "bare", image.Inspection{Format: "raw"}, "", true},
		{"vhd", "ami", image.Inspection{Format: "raw"}, "", false},
		{"raw", "bare", image.Inspection{Format: "qcow2"}, "", true},
		{"raw", "ovf", image.Inspection{Format: "qcow2"}, "", true},
		{"qcow2", "bare", image.Inspection{Format: "qcow2", Problem: "it has a backing file"}, "", true},
		{"raw", "ami", image.Inspection{Format: "unsafe"}, "", true},
	} {
		got, err := image.Accept(c.disk, c.container, c.found)
		if got != c.want || (err != nil) != c.refused || (c.refused && !fault.Is(err, fault.UnsupportedMedia)) {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

func TestVisible(t *testing.T) {
	for _, c := range []struct {
		v       image.Visibility
		project string
		member  string
		want    bool
	}{
		{image.Public, "other", "", true}, {image.Community, "other", "", true}, {image.Private, "owner", "", true},
		{image.Private, "other", "accepted", false}, {image.Shared, "other", "", false}, {image.Shared, "other", "pending", true},
		{image.Private, "", "", false},
	} {
		i := image.Image{Owner: "owner", Visibility: c.v}
		if i.Visible(c.project, c.member) != c.want {
			t.Errorf("%+v", c)
		}
	}
}

func TestStreamHead(t *testing.T) {
	var b bytes.Buffer
	want := image.StreamHead{ID: "x", Format: image.QCOW2, Size: 10, Offset: 3, SHA512: "ab"}
	if err := image.WriteHead(&b, want); err != nil {
		t.Fatal(err)
	}
	b.WriteString("rest")
	got, err := image.ReadHead(&b)
	if err != nil || cmp.Diff(want, got) != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if rest, err := io.ReadAll(&b); err != nil || string(rest) != "rest" {
		t.Fatalf("%q is left, %v", rest, err)
	}
}

func FuzzReadHead(f *testing.F) {
	var b bytes.Buffer
	if err := image.WriteHead(&b, image.StreamHead{ID: "x", Size: 1}); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte{255, 255, 255, 255, '{'})
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := image.ReadHead(bytes.NewReader(in))
		if err == nil && (h.Offset > h.Size || h.Offset < 0) {
			t.Fatalf("accepted %+v", h)
		}
	})
}
