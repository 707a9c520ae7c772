package backups

import (
	"encoding/base64"
	"testing"
)

// What is taken in from anybody's file is written out as the same record.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"id":"33333333-3333-4333-8333-333333333333","size":1,"volume_id":"44444444-4444-4444-8444-444444444444","backup_metadata":{"a":"b"},"data_timestamp":"2026-11-28T00:00:00Z"}`))
	f.Add([]byte(`{"id":"","size":-1}`))
	f.Add([]byte(`{"id":"33333333-3333-4333-8333-333333333333","size":1,"service_metadata":"../../x"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := parse(base64.StdEncoding.EncodeToString(raw))
		if err != nil {
			return
		}
		if b.SizeGiB < 1 || b.SizeGiB > maxRecordGiB {
			t.Errorf("a size of %d", b.SizeGiB)
		}
		out, err := export(b)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(out)
		if err != nil || again.ID != b.ID || again.SizeGiB != b.SizeGiB || again.Location != b.Location {
			t.Errorf("%+v came back as %+v: %v", b, again, err)
		}
	})
}
