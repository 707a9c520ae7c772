package app

import (
	"context"

	"github.com/mekcloud/mek/internal/blockstorage"
	"github.com/mekcloud/mek/internal/identity"
	identityapi "github.com/mekcloud/mek/internal/identity/api"
	"github.com/mekcloud/mek/internal/image"
	"github.com/mekcloud/mek/internal/joining"
	"github.com/mekcloud/mek/internal/network"
	"github.com/mekcloud/mek/internal/objectstore"
	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/rest"
)

// contracts are what services offer each other, filled in the order of serviceSteps.
type contracts struct {
	auth     rest.Authenticator
	identity *identityapi.Service
	// keys and directory serve the object store: signatures of S3, names in access lists.
	keys      identity.AccessKeys
	directory identity.Directory
	placement placement.Allocator
	images    image.Service
	// imageClaims tells Glance which hosts may read which images; services that make disks of images add themselves
	imageClaims *imageClaims
	sandbox     *inspector // converts images
	volumes     blockstorage.Service
	grown       *grownVolumes // compute is told through it
	networks    network.ForCompute
	objects     objectstore.Store
	across      across // for checks that compare services
	joining     *joining.Service
	// hostKeeps refuses to remove a host that has volumes.
	hostKeeps func(ctx context.Context, host string) error
}

// serviceSteps builds the services in the order of dependency.
var serviceSteps = []struct {
	name  string
	build func(*builder, context.Context) error
}{
	{"identity", (*builder).identity},
	{"joining", (*builder).joining},
	{"placement", (*builder).placement},
	{"image", (*builder).image},
	{"network", (*builder).network},
	{"block storage", (*builder).blockstorage},
	{"compute", (*builder).compute},
	{"recovery", (*builder).recovery},
	{"object store", (*builder).objectstore},
	{"swift", (*builder).swift},
	{"s3", (*builder).s3},
	{"catalog", (*builder).catalog}, // last: it offers what was built
}
