package testcloud_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/pprof/profile"

	"github.com/mekcloud/mek/internal/testcloud"
)

// TestProfile asks where processor time goes: one at a time, for a time that is bounded.
func TestProfile(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	const path = "/metrics/profile"
	for _, seconds := range []string{"0", "61", "-1", "x"} {
		cloud.Anonymous().Get(path + "?seconds=" + seconds).Expect(http.StatusBadRequest)
	}
	answers := make(chan *testcloud.Answer, 2)
	for range cap(answers) {
		go func() { answers <- cloud.Anonymous().Get(path + "?seconds=1") }()
	}
	var got []int
	for range cap(answers) {
		a := <-answers
		got = append(got, a.Status)
		if a.Status != http.StatusOK {
			continue
		}
		if p, err := profile.ParseData(a.Body); err != nil || len(p.SampleType) != 2 || p.SampleType[1].Type != "cpu" {
			t.Errorf("no profile of processors: %v", err)
		}
	}
	if slices.Sort(got); !slices.Equal(got, []int{http.StatusOK, http.StatusConflict}) {
		t.Errorf("two at once are answered %v", got)
	}
}
