package blockstorage

import (
	"maps"
	"testing"
)

func FuzzParseDict(f *testing.F) {
	f.Add(`{"a": "b"}`)
	f.Add(`{'a': 'b', 'c': 'd e'}`)
	f.Add(`{u'a': u'b'}`)
	f.Add(`{'a'`)
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDict(text); err == nil && d == nil && text != "null" {
			t.Fatalf("%q is neither a dictionary nor an error", text)
		}
	})
}

func TestDictionariesOfClients(t *testing.T) {
	t.Parallel()
	want := map[string]string{"a": "b", "c": "d e"}
	for _, text := range []string{`{"a":"b","c":"d e"}`, `{'a': 'b', 'c': 'd e'}`, `{u'a': u'b', u'c': u'd e'}`} {
		if got, err := ParseDict(text); err != nil || !maps.Equal(got, want) {
			t.Errorf("%s is read as %v, %v", text, got, err)
		}
	}
}

// TestEveryStatusThatStaysCanBeDeleted keeps the table honest: what an
// operation left behind must never be undeletable.
func TestEveryStatusThatStaysCanBeDeleted(t *testing.T) {
	t.Parallel()
	for _, s := range []VolumeStatus{Available, Error, ErrorDeleting, ErrorExtending, Creating, Downloading, Deleting} {
		if v := (&Volume{Status: s}); !v.May(ActDelete) {
			t.Errorf("a volume that is %s cannot be deleted", s)
		}
	}
	for _, s := range []VolumeStatus{InUse, Reserved, Attaching, Detaching, AwaitingTransfer} {
		if v := (&Volume{Status: s}); v.May(ActDelete) {
			t.Errorf("a volume that is %s can be deleted", s)
		}
	}
}

func TestStatusFollowsAttachments(t *testing.T) {
	t.Parallel()
	for want, list := range map[VolumeStatus][]AttachStatus{
		Available: nil, Reserved: {AttachReserved}, Attaching: {AttachReserved, AttachAttaching}, InUse: {AttachReserved, AttachAttached}, Detaching: {AttachDetaching},
	} {
		var in []Attachment
		for _, s := range list {
			in = append(in, Attachment{Status: s})
		}
		if got := StatusOf(in); got != want {
			t.Errorf("%v give %s, want %s", list, got, want)
		}
	}
}
