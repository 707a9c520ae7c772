package s3

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/s3/document"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// Limits of documents that are sent, in bytes.
const (
	maxBucketBody = 10 << 10
	maxACLBody    = 200 << 10
)

// owner is the caller as S3 shows owners: Swift's "project:user".
func (c *call) owner() document.Owner {
	name := c.auth.ProjectName + ":" + c.auth.UserName
	if c.anonymous() || c.account != c.s.Access.Prefix+c.auth.ProjectID {
		name = c.project() // of a bucket of somebody else no more is told than its address
	}
	return document.Owner{ID: name, DisplayName: name}
}

// listBuckets lists the containers whose names are names of buckets.
func (c *call) listBuckets() (*reply, error) {
	if err := c.ownsAccount(http.MethodGet); err != nil {
		return nil, err
	}
	most, err := c.query.number("max-buckets", 10000, 10000)
	if err != nil {
		return nil, err
	}
	prefix, err := c.query.text("prefix")
	if err != nil {
		return nil, err
	}
	marker, err := c.continuation("continuation-token")
	if err != nil {
		return nil, err
	}
	body := document.Buckets{Owner: c.owner(), Buckets: []document.Bucket{}, Prefix: prefix}
	l := objectstore.Listing{Prefix: prefix, Marker: marker, Limit: 1000}
	for {
		page, err := c.s.Store.Containers(c.Context(), c.account, l)
		if fault.Is(err, fault.NotFound) {
			break // nothing was made in it yet
		}
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if !validBucket(e.Container.Name) {
				continue
			}
			if len(body.Buckets) == most {
				if most > 0 {
					body.Token = token(body.Buckets[most-1].Name)
				}
				return answer(body)
			}
			body.Buckets = append(body.Buckets, document.Bucket{Name: e.Container.Name, CreationDate: stamp(e.Container.CreatedAt)})
		}
		if len(page) < l.Limit {
			break
		}
		l.Marker = page[len(page)-1].Container.Name
	}
	return answer(body)
}

func token(name string) string { return base64.StdEncoding.EncodeToString([]byte(name)) }

// continuation reads a token of ours: a name in base64.
func (c *call) continuation(parameter string) (string, error) {
	v := c.query.Get(parameter)
	name, err := base64.StdEncoding.DecodeString(v)
	if err != nil || !validText(string(name)) {
		return "", argument(parameter, v, "The continuation token provided is incorrect")
	}
	return string(name), nil
}

// createBucket makes a container.
func (c *call) createBucket() (*reply, error) {
	if err := c.ownsAccount(http.MethodPut); err != nil {
		return nil, err
	}
	lists, err := c.headerLists()
	if err != nil {
		return nil, err
	}
	var sent document.CreateBucket
	if _, err := c.document("CreateBucketConfiguration", maxBucketBody, false, &sent); err != nil {
		return nil, err
	}
	if l := sent.Location; l != "" && l != Location && !strings.EqualFold(l, c.s.Region) {
		return nil, failure.New(failure.InvalidLocationConstraint).With("LocationConstraint", l)
	}
	_, _, err = c.s.Store.PutContainer(c.Context(), c.account, c.bucket, func(b *objectstore.Container, created bool) error {
		if !created {
			return failure.New(failure.BucketAlreadyOwnedByYou).With("BucketName", c.bucket)
		}
		lists.apply(b)
		return nil
	}, c.event(""))
	if err != nil {
		return nil, err
	}
	c.s.names.forget(c.bucket)
	return empty(http.StatusOK).with("Location", "/"+c.bucket), nil
}

// headBucket tells whether there is one.
func (c *call) headBucket() (*reply, error) {
	if _, err := c.enter(toRead); err != nil {
		return nil, err
	}
	return empty(http.StatusOK).with("X-Amz-Bucket-Region", Location).with("Content-Type", "application/xml"), nil
}

// deleteBucket removes an empty container, and uploads that were going on in it.
func (c *call) deleteBucket() (*reply, error) {
	b, err := c.enter(toOwn)
	if err != nil {
		return nil, err
	}
	err = c.s.Store.DeleteContainer(c.Context(), b.Account, b.Name, c.event(""))
	if fault.Is(err, fault.Conflict) {
		f := failure.New(failure.BucketNotEmpty)
		if b.Versioning != objectstore.Unversioned || b.Versions > 0 {
			f.Message = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
		}
		return nil, f.With("BucketName", b.Name)
	}
	if err != nil {
		return nil, err
	}
	if err := c.s.dropSegments(c.Context(), b.Account, b.Name+segmentsSuffix); err != nil {
		c.s.Log.Warn("uploads of a deleted bucket wait for the reconciler", "request", c.id, "error", err)
	}
	return empty(http.StatusNoContent), nil
}

func (c *call) location() (*reply, error) {
	if _, err := c.enter(toRead); err != nil {
		return nil, err
	}
	return answer(document.Location{})
}

func (c *call) logging() (*reply, error) {
	if _, err := c.enter(toRead); err != nil {
		return nil, err
	}
	return answer(document.Logging{})
}

// tagging answers that there are no tags, of buckets and of objects.
func (c *call) tagging() (*reply, error) {
	b, err := c.enter(toRead)
	if err != nil {
		return nil, err
	}
	if c.key != "" {
		k := objectstore.Key{Account: b.Account, Container: b.Name, Name: c.key, Version: c.query.Get("versionId")}
		if _, err := c.s.Store.Head(c.Context(), k); fault.Is(err, fault.NotFound) {
			return nil, c.missing(b, k)
		} else if err != nil {
			return nil, err
		}
	}
	return answer(document.Tagging{})
}

func (c *call) objectLock() (*reply, error) {
	if _, err := c.enter(toRead); err != nil {
		return nil, err
	}
	return nil, failure.New(failure.ObjectLockNotFound).With("BucketName", c.bucket)
}

func (c *call) getVersioning() (*reply, error) {
	b, err := c.enter(toRead)
	if err != nil {
		return nil, err
	}
	status := map[objectstore.Versioning]string{objectstore.Versioned: "Enabled", objectstore.Suspended: "Suspended"}
	return answer(document.VersioningStatus{Status: status[b.Versioning]})
}

func (c *call) putVersioning() (*reply, error) {
	b, err := c.enter(toOwn)
	if err != nil {
		return nil, err
	}
	var sent document.Versioning
	found, err := c.document("VersioningConfiguration", maxBucketBody, false, &sent)
	if err != nil {
		return nil, err
	}
	to, ok := map[string]objectstore.Versioning{"Enabled": objectstore.Versioned, "Suspended": objectstore.Suspended}[sent.Status]
	switch {
	case !found || !ok:
		return nil, failure.New(failure.MalformedXML)
	case sent.MFADelete == "Enabled":
		return nil, failure.Newf(failure.NotImplemented, "MFA Delete is not supported.")
	}
	if err := c.changeBucket(b, func(b *objectstore.Container) { b.Versioning = to }); err != nil {
		return nil, err
	}
	return empty(http.StatusOK), nil
}

// changeBucket changes a bucket that must be there.
func (c *call) changeBucket(b *objectstore.Container, change func(*objectstore.Container)) error {
	_, _, err := c.s.Store.PutContainer(c.Context(), b.Account, b.Name, func(b *objectstore.Container, created bool) error {
		if created {
			return failure.New(failure.NoSuchBucket).With("BucketName", b.Name)
		}
		change(b)
		return nil
	}, c.event(""))
	return err
}
