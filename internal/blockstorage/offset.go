package blockstorage

import (
	"slices"
	"strconv"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/listing"
)

// skipped is the pseudo column by which lists leave out their first items:
// this API has an offset beside the marker.
const skipped = "@offset"

// maxOffset bounds what a list reads for nothing.
const maxOffset = 100_000

// SkipTerm reads the query parameter "offset" as a condition for Skip.
func SkipTerm(text string) ([]listing.Term, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxOffset {
		return nil, fault.Invalidf("Invalid input for query parameters offset. Value: %q. It is not an integer between 0 and %d", text, maxOffset)
	}
	return []listing.Term{{Column: skipped, Values: []any{n}}}, nil
}

// Skip takes the condition of SkipTerm out of a query, which then reads that
// many items more, to be left out by the store.
func Skip(q listing.Query) (listing.Query, int) {
	i := slices.IndexFunc(q.Where, func(t listing.Term) bool { return t.Column == skipped })
	if i < 0 {
		return q, 0
	}
	n, _ := q.Where[i].Values[0].(int) // SkipTerm made it
	q.Where = slices.Delete(slices.Clone(q.Where), i, i+1)
	if q.Limit > 0 {
		q.Limit += n
	}
	return q, n
}
