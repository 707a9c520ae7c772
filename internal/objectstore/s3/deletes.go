package s3

import (
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/document"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

const (
	maxDeletes    = 1000
	maxDeleteBody = 2 * maxDeletes * maxKey
)

// deleteObjects removes many objects; each succeeds or fails by itself.
func (c *call) deleteObjects() (*reply, error) {
	b, err := c.enter(toWrite)
	if err != nil {
		return nil, err
	}
	var sent document.Delete
	found, err := c.document("Delete", maxDeleteBody, true, &sent)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, failure.New(failure.MissingRequestBody)
	case len(sent.Objects) == 0 || len(sent.Objects) > maxDeletes:
		return nil, failure.New(failure.MalformedXML)
	}
	for _, o := range sent.Objects {
		if o.Key == "" {
			return nil, failure.New(failure.UserKeyMustBeSpecified)
		}
	}
	body := document.Deleted{}
	for _, o := range sent.Objects {
		k := objectstore.Key{Account: b.Account, Container: b.Name, Name: o.Key}
		if o.VersionID != nil {
			k.Version = *o.VersionID
		}
		match := ""
		if o.ETag != nil {
			match = *o.ETag
		}
		done, err := c.removeOne(k, match)
		if err != nil {
			f := c.explain(err)
			if f.Code == failure.InternalError {
				c.s.Log.Error("an object was not deleted", "request", c.id, "error", err)
			}
			body.Errors = append(body.Errors, document.DeleteError{Key: k.Name, VersionID: k.Version, Code: f.Code, Message: f.Message})
			continue
		}
		if !sent.Quiet {
			body.Deleted = append(body.Deleted, deleted(k, done, b))
		}
	}
	return answer(body)
}

func (c *call) removeOne(k objectstore.Key, match string) (objectstore.Deletion, error) {
	if len(k.Name) > maxKey {
		return objectstore.Deletion{}, failure.New(failure.KeyTooLong)
	}
	return c.remove(k, match)
}

func deleted(k objectstore.Key, done objectstore.Deletion, b *objectstore.Container) document.DeletedObject {
	d := document.DeletedObject{Key: k.Name, VersionID: k.Version}
	switch {
	case done.Marker != nil:
		d.DeleteMarker = true
		if b.Versioning != objectstore.Unversioned {
			d.MarkerVersionID = done.Marker.Version
		}
	case done.Removed != nil && done.Removed.DeleteMarker:
		d.DeleteMarker, d.MarkerVersionID = true, k.Version
	}
	return d
}
