package transfers

import (
	"context"
	"fmt"

	"github.com/mekcloud/mek/internal/check"
)

const (
	strayRemedy = "nothing: it goes by itself within an hour"
	lostRemedy  = "upload it again under another name:  openstack image delete"
)

// codes are those of Verify.
var codes = []check.Code{
	{ID: "I-08/unknown-file", Means: "a file in the folder of images that is none", Remedy: "move it elsewhere"},
	{ID: "I-08/stray-bytes", Means: "bytes of an image that has no record", Remedy: strayRemedy},
	{ID: "I-08/missing-bytes", Means: "an image has lost its bytes", Remedy: lostRemedy},
	{ID: "I-08/size", Means: "an image has more or fewer bytes than recorded", Remedy: lostRemedy},
	{ID: "I-21/digest", Means: "the bytes of an image are not those that were uploaded", Remedy: lostRemedy},
}

// Checks compare records with files; digests are not computed again.
func (t *Transfers) Checks() []check.Check {
	return []check.Check{{Name: "image/bytes", Codes: codes, Run: func(ctx context.Context, l *check.Look) error {
		found, err := t.Verify(ctx, false)
		if err != nil {
			return err
		}
		for _, v := range found {
			code, err := codeOf(v.Code)
			if err != nil {
				return err
			}
			l.Report(code, check.Of("image", v.Object), "%s", v.Evidence)
		}
		return nil
	}}}
}

func codeOf(id string) (check.Code, error) {
	for _, c := range codes {
		if c.ID == id {
			return c, nil
		}
	}
	return check.Code{}, fmt.Errorf("%s is not declared", id)
}
