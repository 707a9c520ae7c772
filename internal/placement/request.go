package placement

// Request asks which providers could serve it.
type Request struct {
	Groups []Group // at least one with resources
	// Isolate serves each suffixed group by a provider of its own.
	Isolate bool
	// RootRequired and RootForbidden are traits of the root of the tree.
	RootRequired, RootForbidden []string
	// SameSubtree lists suffixes of groups that one of their providers must be
	// an ancestor of all of.
	SameSubtree [][]string
	Limit       int  // 0: all
	Flat        bool // never take two providers of one tree (before 1.29)
	// Emptiest lists the hosts with most free memory first, those with as much
	// by their names, and one way for each.
	Emptiest bool
	// Only leaves out the hosts for whose UUID it is false; nil: none. It MUST
	// be fast and not call Placement.
	Only func(root string) bool
}

// Group is a part of a request. With a suffix, one provider serves all of it;
// without, providers of one tree and those that share with it may serve it together.
type Group struct {
	Suffix    string
	Resources Resources
	Required  [][]string // traits: one of each inner list
	Forbidden []string   // traits
	MemberOf  [][]string // aggregates: one of each inner list
	NotIn     []string   // aggregates
	InTree    string     // UUID of any provider of the tree
}

// Candidate is one way to serve a request.
type Candidate struct {
	Root        string // of the tree that it belongs to: the host
	Allocations Allocations
	Mappings    map[string][]string // suffix to the providers that serve it
}

// Candidates is the answer to a request.
type Candidates struct {
	List []Candidate
	// Providers describes every provider of the trees that are used, by UUID.
	Providers map[string]Summary
}

// Summary is a provider as candidates show it.
type Summary struct {
	UUID, Parent, Root string
	Resources          map[string]Level // shared: nobody may change it
	Traits             []string         // sorted
}

// Level is how much of a resource class there is, and is used.
type Level struct{ Capacity, Used int64 }
