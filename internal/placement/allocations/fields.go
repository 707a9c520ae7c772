package allocations

import (
	"maps"
	"slices"

	"github.com/mekcloud/mek/internal/placement"
	"github.com/mekcloud/mek/internal/placement/records"
	"github.com/mekcloud/mek/internal/placement/wire"
	"github.com/mekcloud/mek/internal/rest"
)

// claim is the allocations of one consumer as bodies write them since 1.12.
type claim struct {
	Allocations map[string]portion  `json:"allocations" v:"required"`
	ProjectID   string              `json:"project_id" v:"required,min=1,max=255"`
	UserID      string              `json:"user_id" v:"required,min=1,max=255"`
	Generation  rest.Opt[int64]     `json:"consumer_generation" since:"1.28" v:"required"`
	Mappings    map[string][]string `json:"mappings" since:"1.34" v:"min=1"`
	Type        string              `json:"consumer_type" since:"1.38" v:"required,min=1,max=255"`
}

// portion is what is taken of one provider. The provider's generation is
// accepted, since GET shows it, and means nothing.
type portion struct {
	Generation rest.Opt[int64]  `json:"generation"`
	Resources  map[string]int64 `json:"resources" v:"required,min=1"`
}

// early is the allocations of one consumer as bodies wrote them before 1.12.
type early struct {
	Allocations []struct {
		Provider struct {
			UUID string `json:"uuid" v:"required"`
		} `json:"resource_provider" v:"required"`
		Resources map[string]int64 `json:"resources" v:"required,min=1"`
	} `json:"allocations" v:"required,min=1"`
	ProjectID string `json:"project_id" since:"1.8" v:"required,min=1,max=255"`
	UserID    string `json:"user_id" since:"1.8" v:"required,min=1,max=255"`
}

// nobody stands for the project and user of consumers from before 1.8.
const nobody = "00000000-0000-0000-0000-000000000000"

func (e *early) claim(consumer string) (placement.Claim, error) {
	out := placement.Claim{Consumer: placement.Consumer{UUID: consumer, ProjectID: e.ProjectID, UserID: e.UserID}, Allocations: placement.Allocations{}}
	if e.ProjectID == "" {
		out.Consumer.ProjectID, out.Consumer.UserID = nobody, nobody
	}
	for _, a := range e.Allocations {
		if _, ok := wire.UUID(a.Provider.UUID); !ok {
			return out, wire.BadField("'%s' is not a 'uuid'", a.Provider.UUID)
		}
		if err := checkResources(a.Resources); err != nil {
			return out, err
		}
		out.Allocations[a.Provider.UUID] = a.Resources
	}
	return out, nil
}

// claim checks what types cannot say. Before 1.28, PUT takes no empty allocations.
func (in *claim) claim(c *rest.Call, consumer string, mayBeEmpty bool) (placement.Claim, error) {
	out := placement.Claim{Consumer: placement.Consumer{UUID: consumer, ProjectID: in.ProjectID, UserID: in.UserID, Type: in.Type}, Allocations: placement.Allocations{}}
	if c.At(wire.ConsumerTypes) && !wire.TypeForm.MatchString(in.Type) {
		return out, wire.BadField("'%s' does not match '%s'", in.Type, wire.TypeForm)
	}
	if c.At(wire.ConsumerGeneration) {
		out.Generation.Check = true
		if !in.Generation.Null {
			out.Generation.Value = &in.Generation.V
		}
	}
	if len(in.Allocations) == 0 && !mayBeEmpty {
		return out, wire.BadField("{} does not have enough properties")
	}
	for _, uuid := range slices.Sorted(maps.Keys(in.Allocations)) {
		if !wire.IsUUID(uuid) {
			return out, wire.BadField("'%s' does not match any of the regexes", uuid)
		}
		if err := checkResources(in.Allocations[uuid].Resources); err != nil {
			return out, err
		}
		out.Allocations[uuid] = in.Allocations[uuid].Resources
	}
	return out, checkMappings(in.Mappings)
}

func checkResources(resources map[string]int64) error {
	for class, n := range resources {
		if !wire.ClassForm.MatchString(class) {
			return wire.BadField("'%s' does not match any of the regexes", class)
		}
		if n < 1 {
			return wire.BadField("%d is less than the minimum of 1", n)
		}
	}
	return nil
}

func checkMappings(mappings map[string][]string) error {
	for suffix, list := range mappings {
		if len(list) == 0 {
			return wire.BadField("[] is too short: mappings of '%s'", suffix)
		}
		for _, uuid := range list {
			if _, ok := wire.UUID(uuid); !ok {
				return wire.BadField("'%s' is not a 'uuid'", uuid)
			}
		}
	}
	return nil
}

// claimsOf checks the claims of several consumers.
func claimsOf(c *rest.Call, in map[string]claim) ([]placement.Claim, error) {
	out := make([]placement.Claim, 0, len(in))
	for _, consumer := range slices.Sorted(maps.Keys(in)) {
		if !wire.IsUUID(consumer) {
			return nil, wire.BadField("'%s' does not match any of the regexes", consumer)
		}
		one := in[consumer]
		next, err := one.claim(c, consumer, true)
		if err != nil {
			return nil, err
		}
		out = append(out, next)
	}
	return out, nil
}

// resources groups rows by a key of theirs.
func resources(rows []records.Allocation, key func(a *records.Allocation) string, more func(a *records.Allocation, into map[string]any)) map[string]any {
	out := map[string]any{}
	for i := range rows {
		a := &rows[i]
		one, ok := out[key(a)].(map[string]any)
		if !ok {
			one = map[string]any{"resources": map[string]int64{}}
			more(a, one)
			out[key(a)] = one
		}
		if amounts, ok := one["resources"].(map[string]int64); ok {
			amounts[a.Class] = a.Used
		}
	}
	return out
}
