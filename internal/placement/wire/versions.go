package wire

import (
	"net/http"
	"strings"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/microversion"
)

// The versions at which the API changes.
const (
	Min                microversion.Version = 1000
	Aggregates         microversion.Version = 1001 // aggregates of providers
	Classes            microversion.Version = 1002 // custom resource classes
	FilterMemberOf     microversion.Version = 1003 // member_of on providers
	FilterResources    microversion.Version = 1004 // resources on providers
	DeleteInventories  microversion.Version = 1005 // DELETE on all inventories
	Traits             microversion.Version = 1006 // traits
	EnsureClass        microversion.Version = 1007 // PUT makes a class, without a body
	RequireOwner       microversion.Version = 1008 // project_id and user_id with allocations
	Usages             microversion.Version = 1009 // usages of a project
	Candidates         microversion.Version = 1010 // allocation candidates
	LinkAllocations    microversion.Version = 1011 // link to allocations
	AllocationsByName  microversion.Version = 1012 // allocations as an object by provider
	ManyAllocations    microversion.Version = 1013 // POST allocations
	Nested             microversion.Version = 1014 // parents and roots
	CacheHeaders       microversion.Version = 1015 // last-modified, cache-control
	CandidatesLimit    microversion.Version = 1016
	CandidatesRequired microversion.Version = 1017 // required on candidates, traits in summaries
	FilterRequired     microversion.Version = 1018 // required on providers
	AggregateGen       microversion.Version = 1019 // generation with aggregates
	CreateShows        microversion.Version = 1020 // POST providers answers the provider
	CandidatesMemberOf microversion.Version = 1021
	ForbiddenTraits    microversion.Version = 1022
	ErrorCodes         microversion.Version = 1023
	RepeatMemberOf     microversion.Version = 1024
	Granular           microversion.Version = 1025 // numbered groups
	ReserveAll         microversion.Version = 1026 // reserved may equal total
	AllResources       microversion.Version = 1027 // summaries show all classes
	ConsumerGeneration microversion.Version = 1028
	NestedCandidates   microversion.Version = 1029
	Reshaper           microversion.Version = 1030
	InTree             microversion.Version = 1031
	ForbiddenMemberOf  microversion.Version = 1032
	NamedGroups        microversion.Version = 1033
	Mappings           microversion.Version = 1034
	RootRequired       microversion.Version = 1035
	SameSubtree        microversion.Version = 1036
	Reparent           microversion.Version = 1037
	ConsumerTypes      microversion.Version = 1038
	AnyTraits          microversion.Version = 1039
	Max                                     = AnyTraits
)

// Asked is the version that a request asks for, in the original's words when
// there is no such.
func Asked(h http.Header) (microversion.Version, error) {
	for part := range strings.SplitSeq(strings.Join(h.Values("OpenStack-API-Version"), ","), ",") {
		words := strings.Fields(part)
		if len(words) != 2 || !strings.EqualFold(words[0], "placement") {
			continue
		}
		if strings.EqualFold(words[1], "latest") {
			return Max, nil
		}
		v, err := microversion.Parse(words[1])
		switch {
		case err != nil:
			return 0, fault.Invalidf("invalid version string: %s", words[1])
		case v < Min || v > Max:
			return 0, fault.New(fault.NotAcceptable, "Unacceptable version header: %s", words[1])
		}
		return v, nil
	}
	return Min, nil
}
