package bulk

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// FuzzPlace: a file of an archive goes into a container and below the place that
// was asked for, whatever it is called.
func FuzzPlace(f *testing.F) {
	f.Add("", "./box/a")
	f.Add("box/base/", "../../etc/passwd")
	f.Add("box", "//a//b")
	f.Fuzz(func(t *testing.T, base, name string) {
		container, object := place(base, name)
		if container == "" && object == "" {
			return
		}
		if object == "" || strings.Contains(container, "/") {
			t.Fatalf("%q in %q went to %q / %q", name, base, container, object)
		}
		if b := strings.TrimRight(base, "/"); b != "" && !strings.HasPrefix(container+"/"+object, b+"/") {
			t.Fatalf("%q left %q for %q / %q", name, base, container, object)
		}
	})
}

// FuzzNames reads lists of names to their ends.
func FuzzNames(f *testing.F) {
	f.Add("a/b\n\n c%2Fd \r\n")
	f.Add(strings.Repeat("x", 3000))
	f.Fuzz(func(t *testing.T, text string) {
		list := newNames(strings.NewReader(text))
		for n := 0; ; n++ {
			name, err := list.next()
			if errors.Is(err, io.EOF) || errors.Is(err, errLong) {
				return
			}
			if err != nil || name == "" || n > len(text) {
				t.Fatalf("name %q, %v", name, err)
			}
		}
	})
}
