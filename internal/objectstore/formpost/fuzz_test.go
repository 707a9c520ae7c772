package formpost

import (
	"io"
	"strings"
	"testing"
)

// FuzzForm reads forms to their ends: nothing may panic or go on for ever, fields
// and values stay within their limits, and what follows a signed file is ignored.
func FuzzForm(f *testing.F) {
	f.Add("--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--X\r\nContent-Disposition: form-data; name=\"f\"; filename=\"../b\"\r\n\r\nbody\r\n--X--\r\n", "X")
	f.Add("--X--", "X")
	f.Add("\r\n--X\r\n\r\n\r\n--X\r\nContent-Disposition: form-data\r\n\r\n", "X")
	f.Fuzz(func(t *testing.T, body, boundary string) {
		if b, ok := isForm("multipart/form-data; boundary=" + boundary); ok {
			boundary = b
		}
		form := newForm(strings.NewReader(body), boundary)
		for n := 0; ; n++ {
			part, err := form.file()
			if err != nil {
				break
			}
			if n > len(body) || fileName(part) == "" {
				t.Fatal("more files than bytes, or one without a name")
			}
			form.signed = true
			before := len(form.fields)
			capped := &capped{r: part, left: 10}
			got, _ := io.ReadAll(capped)
			if len(got) > 10 || len(form.fields) != before {
				t.Fatalf("%d bytes through a cap of 10", len(got))
			}
		}
		if len(form.fields) > maxFields {
			t.Fatalf("%d fields", len(form.fields))
		}
		for name, value := range form.fields {
			if len(value) > maxValue || name != strings.ToLower(name) {
				t.Fatalf("field %q of %d bytes", name, len(value))
			}
		}
	})
}
