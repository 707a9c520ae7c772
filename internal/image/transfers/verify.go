package transfers

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/image/files"
)

// Verify compares records with files and changes nothing. Files and transfers
// that may belong to work in progress are left out, as Sweep leaves them out.
// deep reads every byte and compares the digests too.
func (t *Transfers) Verify(ctx context.Context, deep bool) ([]image.Violation, error) {
	records, err := t.Records.All(ctx)
	if err != nil {
		return nil, err
	}
	entries, err := t.Files.List()
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{} // file name → size
	var out []image.Violation
	found := func(code, object, evidence string, args ...any) {
		out = append(out, image.Violation{Code: code, Object: object, Evidence: fmt.Sprintf(evidence, args...)})
	}
	for _, e := range entries {
		sizes[e.Name] = e.Size
		if e.ID == "" {
			found("I-08/unknown-file", e.Name, "a file that is not an image, %d bytes", e.Size)
			continue
		}
		if t.works(e.ID) || (!t.Alone && t.Clock.Now().Sub(e.Modified) < grace) {
			continue
		}
		if ok, err := t.claimedByRecord(ctx, e); err != nil {
			return nil, err
		} else if !ok {
			found("I-08/stray-bytes", e.Name, "%d bytes that no record claims", e.Size)
		}
	}
	for _, i := range records {
		if t.works(i.ID) {
			continue
		}
		name := i.ID + "." + string(files.Image)
		switch i.Status {
		case image.Uploading, image.Importing:
			name = i.ID + "." + string(files.Staged)
		case image.Active, image.Deactivated:
		default:
			continue
		}
		size, there := sizes[name]
		switch {
		case !there:
			found("I-08/missing-bytes", i.ID, "the record is %s and there is no file", i.Status)
		case size != i.Size:
			found("I-08/size", i.ID, "the record says %d bytes, the file has %d", i.Size, size)
		case deep && i.Status != image.Uploading && i.Status != image.Importing:
			if err := t.verifyBytes(i, found); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (t *Transfers) verifyBytes(i *image.Image, found func(code, object, evidence string, args ...any)) error {
	b, err := t.Files.Open(i.ID, files.Image)
	if err != nil {
		return err
	}
	defer b.Close()
	sum := sha512.New()
	if _, err := io.Copy(sum, b.File); err != nil {
		return fmt.Errorf("read image %s: %w", i.ID, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != i.HashValue {
		found("I-21/digest", i.ID, "the record says sha512 %s, the bytes have %s", i.HashValue, got)
	}
	return nil
}
