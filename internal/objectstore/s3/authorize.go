package s3

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/objectstore/access"
	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// need is what an operation needs on a bucket.
type need uint8

const (
	toRead  need = iota // objects, or lists of them
	toWrite             // objects
	toOwn               // the bucket itself
)

// anonymous tells whether nobody has signed.
func (c *call) anonymous() bool { return c.claim == nil }

// enter finds the bucket and checks that the caller may do this in it. What the
// caller may not see does not exist; anonymous callers are told nothing at all.
func (c *call) enter(n need) (*objectstore.Container, error) {
	b, err := c.open(c.bucket, c.key, n)
	if err == nil {
		c.account = b.Account
	}
	return b, err
}

// open is enter for any bucket, as the source of a copy is one.
func (c *call) open(bucket, key string, n need) (*objectstore.Container, error) {
	if !c.anonymous() {
		b, err := c.s.Store.Container(c.Context(), c.account, bucket)
		if err == nil {
			return b, c.allowed(b, key, n)
		}
		if !fault.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	if n == toOwn || n == toWrite && !c.anonymous() {
		// A bucket of a stranger with the name that was meant must not catch what is written.
		return nil, c.noBucket(bucket)
	}
	b, err := c.foreign(bucket, key, n)
	if err == nil && b == nil {
		err = c.noBucket(bucket)
	}
	return b, err
}

func (c *call) noBucket(bucket string) error {
	if c.anonymous() {
		return failure.New(failure.AccessDenied)
	}
	return failure.New(failure.NoSuchBucket).With("BucketName", bucket)
}

// foreign finds the oldest bucket of this name, in any account, that lets the
// caller in.
func (c *call) foreign(bucket, key string, n need) (*objectstore.Container, error) {
	accounts, err := c.s.names.accounts(c.Context(), c.s.Store, bucket, c.now)
	if err != nil {
		return nil, err
	}
	var oldest *objectstore.Container
	for _, account := range accounts {
		b, err := c.s.Store.Container(c.Context(), account, bucket)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if (oldest == nil || b.CreatedAt.Before(oldest.CreatedAt)) && c.allowed(b, key, n) == nil {
			oldest = b
		}
	}
	return oldest, nil
}

// allowed asks package access as the Swift API does.
func (c *call) allowed(b *objectstore.Container, key string, n need) error {
	ask := access.Ask{Account: b.Account, Container: b.Name, Object: key, Referer: c.Referer()}
	switch n {
	case toRead:
		ask.Method, ask.List = http.MethodGet, b.Headers[objectstore.HeaderRead]
	case toWrite:
		ask.Method, ask.List = http.MethodPut, b.Headers[objectstore.HeaderWrite]
	case toOwn:
		ask.Method = http.MethodPut
	}
	grant := c.s.Access.Decide(c.auth, ask)
	if !grant.Allowed && !c.anonymous() {
		account, err := c.s.Store.Account(c.Context(), b.Account)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil {
			ask.AccountKnown, ask.AccountList = true, account.Headers[objectstore.HeaderAccountAccess]
			ask.AccountDomain = account.Headers[objectstore.HeaderProjectDomain]
			grant = c.s.Access.Decide(c.auth, ask)
		}
	}
	if !grant.Allowed || n == toOwn && !grant.Owner {
		return failure.New(failure.AccessDenied)
	}
	return nil
}

// ownsAccount checks that the caller may list and make buckets.
func (c *call) ownsAccount(method string) error {
	if c.anonymous() {
		return failure.New(failure.AccessDenied)
	}
	grant := c.s.Access.Decide(c.auth, access.Ask{Method: method, Account: c.account})
	if !grant.Allowed {
		return failure.New(failure.AccessDenied)
	}
	return nil
}

// view lets a read follow links and manifests only to where the caller may read.
func (c *call) view() objectstore.View {
	return objectstore.View{Allow: func(ctx context.Context, account, container string) error {
		b, err := c.s.Store.Container(ctx, account, container)
		if err != nil {
			return err
		}
		return c.allowed(b, c.key, toRead)
	}}
}

// names remembers for a moment which accounts have a bucket of a name: the store
// finds buckets by account.
type names struct {
	mu    sync.Mutex
	found map[string]nameEntry
}

type nameEntry struct {
	accounts []string
	at       time.Time
}

const (
	namesFor  = time.Second
	namesMost = 4096
	namesPage = 1000
)

func (n *names) accounts(ctx context.Context, store objectstore.Store, bucket string, now time.Time) ([]string, error) {
	n.mu.Lock()
	e, ok := n.found[bucket]
	n.mu.Unlock()
	if ok && now.Sub(e.at) < namesFor {
		return e.accounts, nil
	}
	e = nameEntry{at: now}
	for after := ""; ; {
		page, err := store.Accounts(ctx, after, namesPage)
		if err != nil {
			return nil, err
		}
		for _, account := range page {
			_, err := store.Container(ctx, account, bucket)
			if err == nil {
				e.accounts = append(e.accounts, account)
			} else if !fault.Is(err, fault.NotFound) {
				return nil, err
			}
		}
		if len(page) < namesPage {
			break
		}
		after = page[len(page)-1]
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.found == nil || len(n.found) >= namesMost {
		n.found = map[string]nameEntry{}
	}
	n.found[bucket] = e
	return e.accounts, nil
}

// forget has the next search look again; a bucket was made.
func (n *names) forget(bucket string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.found, bucket)
}
