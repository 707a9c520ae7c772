package cloudsyaml

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var ours = map[string]Entry{
	"admin": {Auth: Auth{AuthURL: "https://127.0.0.1/identity/v3", Username: "admin", Password: "p1", ProjectName: "admin",
		UserDomainName: "Default", ProjectDomainName: "Default"}, RegionName: "RegionOne", IdentityAPIVersion: "3", CACert: "/x/ca.crt"},
	"demo": {Auth: Auth{AuthURL: "https://127.0.0.1/identity/v3", Username: "demo", Password: "p2"}},
}

const theirs = `# my clouds
clouds:
  # work
  work:
    auth: {auth_url: https://work.example/v3, username: me}
    verify: false
cache:
  expiration_time: 5
`

func TestMergeAndRemoveLeaveTheFileAsItWas(t *testing.T) {
	nobody := Owner{-1, -1}
	for name, before := range map[string]string{"none": "", "theirs": theirs} {
		path := filepath.Join(t.TempDir(), "sub", "clouds.yaml")
		if before != "" {
			if err := write(path, []byte(before), nobody); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range []bool{true, false} {
			if changed, err := Merge(path, ours, nobody); err != nil || changed != want {
				t.Fatalf("%s: merge %d changed %v, %v", name, i, changed, err)
			}
		}
		got, err := Read(path)
		if err != nil || got["admin"] != ours["admin"] || got["demo"] != ours["demo"] {
			t.Fatalf("%s: %+v %v", name, got, err)
		}
		text, err := os.ReadFile(path)
		if err != nil || before != "" && !(strings.Contains(string(text), "# work") && strings.Contains(string(text), "verify: false")) {
			t.Fatalf("%s: lost what was there: %s", name, text)
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Fatalf("%v %v", fi.Mode(), err)
		}
		if err := Remove(path, []string{"admin", "demo"}, ours["admin"].Auth.AuthURL); err != nil {
			t.Fatal(err)
		}
		text, err = os.ReadFile(path)
		if before == "" && !os.IsNotExist(err) || before != "" && string(text) != before {
			t.Fatalf("%s: not as before: %q %v", name, text, err)
		}
		if _, err := os.Stat(path + suffix); err == nil {
			t.Fatal("the copy was left behind")
		}
	}
}

func TestRemoveLeavesForeignEntriesOfTheSameName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clouds.yaml")
	if _, err := Merge(path, ours, Owner{-1, -1}); err != nil {
		t.Fatal(err)
	}
	if err := Remove(path, []string{"admin"}, "https://another/identity/v3"); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(path); err != nil || len(got) != 2 {
		t.Fatalf("%v %v", got, err)
	}
}

func TestWhatIsNotYAMLIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clouds.yaml")
	for _, text := range []string{"clouds: [", "- a\n", "clouds: 7\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Merge(path, ours, Owner{-1, -1}); err == nil {
			t.Errorf("merged into %q", text)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("changed %q to %q", text, b)
		}
	}
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte(theirs))
	f.Add([]byte("clouds:\n"))
	f.Add([]byte("clouds: {admin: 7}"))
	f.Fuzz(func(t *testing.T, old []byte) {
		text, err := merge(old, ours)
		if err != nil {
			return
		}
		again, err := merge(text, ours)
		if err != nil || !bytes.Equal(again, text) {
			t.Fatalf("merging twice changes: %v\n%s\n%s", err, text, again)
		}
	})
}
