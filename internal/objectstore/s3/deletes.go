package s3

import (
	"errors"
	"io"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
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
		done, err := c.removeOne(b, k, match)
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

func (c *call) removeOne(b *objectstore.Container, k objectstore.Key, match string) (objectstore.Deletion, error) {
	if len(k.Name) > maxKey {
		return objectstore.Deletion{}, failure.New(failure.KeyTooLong)
	}
	return c.remove(b, k, match)
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

// errManifest says that an object goes whose segments must go with it.
var errManifest = errors.New("a static large object")

// remove deletes one object, or makes a delete marker. match is the ETag it must
// have; empty for any. What is not there is gone.
func (c *call) remove(b *objectstore.Container, k objectstore.Key, match string) (objectstore.Deletion, error) {
	final := k.Version != "" || b.Versioning == objectstore.Unversioned
	check := func(o *objectstore.Object) error {
		switch {
		case match != "" && o == nil:
			return failure.New(failure.NoSuchKey).With("Key", k.Name)
		case match != "" && !matches(match, o.ETag):
			return unfulfilled("If-Match")
		case final && o != nil && o.Headers[objectstore.HeaderStatic] != "":
			return errManifest
		}
		return nil
	}
	done, err := c.delete(k, check)
	if errors.Is(err, errManifest) {
		return c.removeLarge(k)
	}
	return done, err
}

func (c *call) delete(k objectstore.Key, check func(*objectstore.Object) error) (objectstore.Deletion, error) {
	e := c.event(k.Name)
	e.Object = k.Account + "/" + k.Container + "/" + k.Name
	done, err := c.s.Store.Delete(c.Context(), k, check, e)
	if fault.Is(err, fault.NotFound) && failure.As(err) == nil {
		return objectstore.Deletion{}, nil
	}
	return done, err
}

// removeLarge deletes a static large object that Swift made, and then its
// segments where the caller may: S3 knows objects only whole.
func (c *call) removeLarge(k objectstore.Key) (objectstore.Deletion, error) {
	segments, err := c.manifest(k)
	if err != nil {
		return objectstore.Deletion{}, err
	}
	done, err := c.delete(k, nil)
	if err != nil {
		return done, err
	}
	for _, s := range segments {
		container, name, ok := strings.Cut(strings.TrimPrefix(s.Name, "/"), "/")
		if !ok {
			continue // bytes in the manifest
		}
		b, err := c.s.Store.Container(c.Context(), k.Account, container)
		if err == nil && c.allowed(b, name, toWrite) == nil {
			_, err = c.remove(b, objectstore.Key{Account: k.Account, Container: container, Name: name}, "")
		}
		if err != nil && !fault.Is(err, fault.NotFound) {
			c.s.Log.Warn("a segment stays behind its object", "request", c.id, "error", err)
		}
	}
	return done, nil
}

func (c *call) manifest(k objectstore.Key) ([]objectstore.Segment, error) {
	w, content, err := c.s.Reader.Open(c.Context(), k, objectstore.View{Link: true, Manifest: true})
	if err != nil {
		return nil, err
	}
	defer content.Close() //nolint:errcheck // it is only read
	text, err := io.ReadAll(content.Range(0, min(w.Size, objectstore.MaxManifestSize)))
	if err != nil {
		return nil, err
	}
	return objectstore.ParseManifest(text)
}
