package store

import (
	"context"
	"fmt"

	"github.com/mekcloud/mek/internal/check"
)

const (
	objectLost   = "upload the object again"
	objectReport = "report it with this line; look at the log of mek server"
)

// codes are those of Check.
var codes = []check.Code{
	{ID: "I-10/object-account", Means: "the counts of an account are not what is in it", Remedy: objectReport},
	{ID: "I-10/object-container", Means: "the counts of a container are not what is in it", Remedy: objectReport},
	{ID: "I-08/object-body", Means: "an object has no body, or one of another size", Remedy: objectLost},
	{ID: "I-08/object-claim", Means: "a file is not claimed for the object that has it", Remedy: objectReport},
	{ID: "I-08/object-strays", Means: "entries of the index that belong to nothing", Remedy: objectReport},
	{ID: "I-08/object-expiry", Means: "an object has a time to go that the expirer does not know", Remedy: objectReport},
	{ID: "I-08/object-damaged", Means: "bytes of an object did not hash to what was written, and were put aside", Remedy: objectLost},
	{ID: "I-08/object-lost", Means: "the file of an object is missing or of another size", Remedy: objectLost},
	{ID: "I-08/object-garbage", Means: "a file belongs to no object", Remedy: "nothing: it is removed at the next start"},
}

// Checks recount the store and look for bytes that are lost or nobody's. Rows:
// the store is looked at at one moment, and no saga works in it.
func (s *Store) Checks() []check.Check {
	return []check.Check{{Name: "objects", Codes: codes, Rows: true, Run: func(ctx context.Context, l *check.Look) error {
		found, err := s.Check(ctx)
		if err != nil {
			return err
		}
		for _, f := range found {
			code, err := codeOf(f.Code)
			if err != nil {
				return err
			}
			l.Report(code, check.Of("", f.Subject), "%s", f.Evidence)
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
