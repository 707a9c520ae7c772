package app

import (
	"context"
	"net"
	"net/http"
	"slices"

	"github.com/mekcloud/mek/internal/identity"
	"github.com/mekcloud/mek/internal/objectstore/access"
	"github.com/mekcloud/mek/internal/objectstore/reading"
	"github.com/mekcloud/mek/internal/objectstore/s3"
)

// s3 builds the S3 API. It has a port of its own, which it shares with Swift
// without a prefix: what is not signed for S3 goes there.
func (b *builder) s3(context.Context) error {
	s := s3.New(s3.Deps{Store: b.shared.objects, Reader: reading.New(b.shared.objects), Keys: b.shared.keys, Access: swiftAccess(), Clock: b.Clock, Log: b.Log,
		Region: b.Config.Region, Domains: b.Config.Objects.Domains, Observe: b.observe,
		Admit: func(ctx context.Context, caller, address, method string) (s3.Turn, error) {
			return b.gate.Admit(ctx, caller, address, method)
		}, Other: http.HandlerFunc(b.swiftAtRoot)})
	b.objects = b.elsewhere.front(s)
	b.listed = append(b.listed, s3.Routes()...)
	loop := b.reconcilers(b.elsewhere.reconcilers(s.Reconcilers())...)
	b.background("s3", reconciled(loop))
	return nil
}

// swiftAtRoot answers Swift's requests on the object store's own port.
func (b *builder) swiftAtRoot(w http.ResponseWriter, r *http.Request) {
	b.door.Load().Only("swift").ServeHTTP(w, r)
}

// swiftAccess is DevStack's configuration of Swift's keystoneauth.
func swiftAccess() access.Settings {
	return access.Settings{Prefix: "AUTH_", OperatorRoles: []string{"admin", "member", "swiftoperator"}, ReaderRoles: []string{"reader"},
		ResellerAdmin: "ResellerAdmin", DefaultDomain: identity.DefaultDomainID}
}

// ownPort is the catalog's address of the object store's own port: ":8080".
func (b *builder) ownPort() string {
	_, port, err := net.SplitHostPort(b.Config.ObjectListen())
	if err != nil || b.objects == nil {
		return ""
	}
	return ":" + port
}

// ownAddresses adds what is offered on ports of its own.
func (b *builder) ownAddresses(entries []identity.CatalogEntry) []identity.CatalogEntry {
	if port := b.ownPort(); port != "" {
		entries = append(slices.Clip(entries), identity.CatalogEntry{Type: "s3", Name: "s3", URL: port})
	}
	return entries
}
