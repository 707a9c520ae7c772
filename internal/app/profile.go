package app

import (
	"net/http"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
)

const (
	profilePath    = "/metrics/profile"
	profileSeconds = 5  // when nothing is asked for
	longestProfile = 60 // seconds
)

// profiler answers where processor time goes. A profile holds names of functions
// and counts, nothing of what they worked on; memory is not to be had this way,
// since secrets lie in it.
type profiler struct {
	clock clock.Clock
	one   sync.Mutex // the runtime takes one profile at a time
}

// ServeHTTP answers GET ?seconds=N with a profile in the format of pprof.
func (p *profiler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seconds := profileSeconds
	if text := r.URL.Query().Get("seconds"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > longestProfile {
			http.Error(w, "seconds is a number from 1 to "+strconv.Itoa(longestProfile)+".", http.StatusBadRequest)
			return
		}
		seconds = n
	}
	if !p.one.TryLock() {
		http.Error(w, "Another profile is being taken.", http.StatusConflict)
		return
	}
	defer p.one.Unlock()
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := pprof.StartCPUProfile(w); err != nil {
		http.Error(w, "A profile cannot be taken: "+err.Error(), http.StatusConflict)
		return
	}
	defer pprof.StopCPUProfile()
	select {
	case <-p.clock.After(time.Duration(seconds) * time.Second):
	case <-r.Context().Done():
	}
}
