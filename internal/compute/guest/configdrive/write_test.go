package configdrive

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mekcloud/mek/internal/compute/guest"
)

func example() guest.Metadata {
	return guest.Metadata{
		MetaData:    json.RawMessage(`{"uuid":"6f0c0000-0000-4000-8000-000000000001","hostname":"a.novalocal"}`),
		NetworkData: json.RawMessage(`{"links":[],"networks":[],"services":[]}`),
		VendorData:  json.RawMessage(`{}`),
		VendorData2: json.RawMessage(`{}`),
		UserData:    []byte("#!/bin/sh\n" + strings.Repeat("x", 5000)),
		EC2:         json.RawMessage(`{"hostname":"a"}`),
		Files:       []guest.File{{Path: "/etc/motd", Data: []byte("hello")}},
	}
}

func TestTreeHasDocumentsFromTheirVersionOn(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, f := range Tree(example()) {
		got[f.Path] = string(f.Data)
	}
	for place, there := range map[string]bool{
		"openstack/2012-08-10/meta_data.json":    true,
		"openstack/2012-08-10/user_data":         true,
		"openstack/2012-08-10/vendor_data.json":  false,
		"openstack/2013-10-17/vendor_data.json":  true,
		"openstack/2013-10-17/network_data.json": false,
		"openstack/2015-10-15/network_data.json": true,
		"openstack/2016-10-06/vendor_data2.json": true,
		"openstack/latest/vendor_data2.json":     true,
		"openstack/content/0000":                 true,
		"ec2/2009-04-04/meta-data.json":          true,
		"ec2/latest/user-data":                   true,
	} {
		if _, ok := got[place]; ok != there {
			t.Errorf("%s: there %v, want %v", place, ok, there)
		}
	}
	if n := len(Tree(guest.Metadata{})); n != 0 {
		t.Errorf("no metadata makes %d files", n)
	}
}

// TestForeignReader mounts nothing: isoinfo of another author reads the drive.
func TestForeignReader(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "drive.iso")
	if err := Write(path, Tree(example())); err != nil {
		t.Fatal(err)
	}
	info := run(t, "isoinfo", "-d", "-i", path)
	for _, want := range []string{"Volume id: " + Label, "Joliet with UCS level", "Rock Ridge signatures"} {
		if !strings.Contains(info, want) {
			t.Errorf("no %q in\n%s", want, info)
		}
	}
	for _, names := range []string{"-R", "-J"} {
		for _, f := range Tree(example()) {
			if got := run(t, "isoinfo", names, "-i", path, "-x", "/"+f.Path); got != string(f.Data) {
				t.Errorf("%s with %s: %d bytes, want %d", f.Path, names, len(got), len(f.Data))
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".drive-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add([]byte{1, 0, 19, 0, 0, 0, 1, 0, 0, 0, 2, 0, 20, 0, 0, 0, 1, 0, 0, 'a'})
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, data []byte) {
		folders, err := parseTable(data)
		for i, one := range folders {
			if err == nil && (one.parent < 0 || one.parent >= len(folders)) {
				t.Errorf("entry %d has parent %d of %d", i, one.parent, len(folders))
			}
		}
	})
}

func FuzzFindRecord(f *testing.F) {
	record := append(make([]byte, 33), 0, 'a')
	record[0], record[25], record[32] = 36, 2, 2
	f.Add(record, []byte{0, 'a'})
	f.Add([]byte{0}, []byte{})
	f.Fuzz(func(t *testing.T, records, name []byte) {
		if at := findRecord(records, name); at >= len(records) {
			t.Errorf("at %d of %d", at, len(records))
		}
	})
}

func TestPlacesOutsideAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, bad := range []string{"../x", "/etc/x", "a/../../x", ""} {
		path := filepath.Join(dir, "drive.iso")
		if err := Write(path, []guest.File{{Path: bad, Data: []byte("x")}}); err == nil {
			t.Errorf("%q was accepted", bad)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%q left %v behind", bad, left)
		}
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return string(out)
}

func BenchmarkWrite(b *testing.B) {
	dir, n := b.TempDir(), 0
	for b.Loop() {
		n++
		if err := Write(filepath.Join(dir, "drive"+strings.Repeat("x", n%100)+".iso"), Tree(example())); err != nil {
			_ = os.RemoveAll(dir)
		}
		_ = os.Remove(filepath.Join(dir, "drive"+strings.Repeat("x", n%100)+".iso"))
	}
}
