package placement

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/db"
)

// MaxInt is the largest amount of an inventory: 32 bits, signed.
const MaxInt = math.MaxInt32

// Provider is a source of resources. Providers form trees.
type Provider struct {
	UUID, Name           string
	Parent               string // UUID, empty for a root
	Root                 string // UUID, its own for a root
	Generation           int64
	CreatedAt, UpdatedAt time.Time
}

// Inventory is how much of one resource class a provider has.
type Inventory struct {
	Total, Reserved, MinUnit, MaxUnit, StepSize int64
	AllocationRatio                             float64
}

// Units is an inventory of total units with the usual limits: no reserve, any
// amount at a time, nothing overcommitted.
func Units(total int64) Inventory {
	return Inventory{Total: total, MinUnit: 1, MaxUnit: MaxInt, StepSize: 1, AllocationRatio: 1}
}

// Capacity is what may be allocated in all.
func (i Inventory) Capacity() float64 { return float64(i.Total-i.Reserved) * i.AllocationRatio }

// Fits tells whether amount may be allocated at once beside what is used.
func (i Inventory) Fits(used, amount int64) bool {
	return i.Allows(amount) && float64(used+amount) <= i.Capacity()
}

// Allows tells whether amount keeps to the inventory's unit rules.
func (i Inventory) Allows(amount int64) bool {
	return amount >= i.MinUnit && amount <= i.MaxUnit && (i.StepSize <= 1 || amount%i.StepSize == 0)
}

// Resources is amounts by resource class.
type Resources map[string]int64

// Allocations is what a consumer has, by the provider's UUID.
type Allocations map[string]Resources

// Consumer is what holds allocations, usually a server or a migration.
type Consumer struct {
	UUID, ProjectID, UserID string
	Type                    string // "INSTANCE", "MIGRATION"; empty: not said
	Generation              int64
}

// Expected is the generation that the caller believes a consumer to have. The
// zero value does not check.
type Expected struct {
	Check bool
	Value *int64 // nil: the consumer must not exist
}

// Claim replaces all allocations of one consumer.
type Claim struct {
	Consumer    Consumer // Generation is ignored
	Allocations Allocations
	Generation  Expected
}

// Host describes a provider that another service keeps: its inventories, and
// its traits apart from custom ones, which belong to operators.
type Host struct {
	UUID, Name  string
	Parent      string // UUID, empty for a root
	Inventories map[string]Inventory
	Traits      []string
	Aggregates  []string // nil: leave them as they are
}

// Allocator is what other services may ask of Placement. Safe for concurrent use.
type Allocator interface {
	// Candidates lists the ways to serve a request, at most Request.Limit of
	// them. An unknown resource class or trait is Invalid; no way is an empty list.
	Candidates(ctx context.Context, r Request) (Candidates, error)
	// Claim commits allocations with the caller's transaction. Claiming the same
	// again is no error and changes nothing, so a step may run twice. Errors:
	// Conflict when the capacity is gone meanwhile or the generation differs
	// (Code ConcurrentUpdate), Invalid for an unknown provider or class.
	Claim(ctx context.Context, tx *db.Tx, c Claim) error
	// Release takes all allocations of a consumer back; it may have none.
	Release(ctx context.Context, tx *db.Tx, consumer string) error
	// AllocationsOf reads what a consumer has; tx may be nil.
	AllocationsOf(ctx context.Context, tx *db.Tx, consumer string) (Allocations, error)
	// EnsureProvider makes a provider be as described, or changes nothing.
	// Conflict when the name belongs to another provider or an inventory in use
	// would go.
	EnsureProvider(ctx context.Context, h Host) error
	// RemoveProvider forgets a provider and those below it; Conflict while any
	// has allocations. One that does not exist is no error.
	RemoveProvider(ctx context.Context, uuid string) error
}

// Codes of faults, as the API shows them since 1.23.
const (
	CodeUndefined          = "placement.undefined_code"
	CodeInventoryInUse     = "placement.inventory.inuse"
	CodeConcurrentUpdate   = "placement.concurrent_update"
	CodeDuplicateName      = "placement.duplicate_name"
	CodeProviderInUse      = "placement.resource_provider.inuse"
	CodeCannotDeleteParent = "placement.resource_provider.cannot_delete_parent"
	CodeProviderNotFound   = "placement.resource_provider.not_found"
	CodeDuplicateQuery     = "placement.query.duplicate_key"
	CodeBadQuery           = "placement.query.bad_value"
	CodeMissingQuery       = "placement.query.missing_value"
)

// Custom tells whether a resource class or trait is made by users.
func Custom(name string) bool { return strings.HasPrefix(name, "CUSTOM_") }
