package app

import (
	"context"

	objectstoreapi "github.com/mekcloud/mek/internal/objectstore/api"
	"github.com/mekcloud/mek/internal/objectstore/reading"
)

// swift builds the Swift API.
func (b *builder) swift(context.Context) error {
	s := objectstoreapi.New(objectstoreapi.Deps{Store: b.shared.objects, Reader: reading.New(b.shared.objects), Clock: b.Clock, Access: swiftAccess(),
		AdminKey: b.Config.Objects.InfoKey})
	b.serve(s.REST())
	return nil
}
