package federation

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/id"
)

// A browser's login goes by the provider and comes back: what it began with is
// sealed into a cookie, so that it ends in the same browser and nothing is stored
// for strangers.
const (
	loginLife   = 10 * time.Minute
	sealedState = "federation-state"
	maxState    = 4096
)

// journey is what a login began with.
type journey struct {
	ID        string `json:"id"` // goes to the provider and comes back
	Provider  string `json:"provider"`
	Protocol  string `json:"protocol"`
	Origin    string `json:"origin"` // dashboard that gets the token
	Nonce     string `json:"nonce,omitempty"`
	Verifier  string `json:"verifier,omitempty"`
	RequestID string `json:"request,omitempty"`
	Ends      int64  `json:"ends"` // µs
}

var (
	errNoJourney    = errors.New("the login was not begun in this browser, or too long ago")
	errOtherJourney = errors.New("the login was begun with another provider")
)

func (s *Service) begin(p party, origin string) journey {
	return journey{ID: id.Secret(16), Provider: p.provider, Protocol: p.protocol, Origin: origin, Nonce: id.Secret(16), Verifier: id.Secret(32),
		Ends: clock.Micros(s.Clock.Now().Add(loginLife))}
}

// sealed is a journey that only this cloud can read.
func (s *Service) sealed(j journey) (string, error) {
	text, err := json.Marshal(j)
	return base64.RawURLEncoding.EncodeToString(s.Sealer.Seal(sealedState, text)), err
}

// opened reads a journey to a party that has not ended. Unauthenticated: there is none.
func (s *Service) opened(text string, p party) (journey, error) {
	var j journey
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(text) > maxState {
		return j, refused(errNoJourney)
	}
	plain, err := s.Sealer.Open(sealedState, sealed)
	switch {
	case err != nil || json.Unmarshal(plain, &j) != nil || clock.Micros(s.Clock.Now()) >= j.Ends:
		return j, refused(errNoJourney)
	case j.Provider != p.provider || j.Protocol != p.protocol:
		return j, refused(errOtherJourney)
	}
	return j, nil
}

// guarded keeps what was made of something as long as its mark stays.
type guarded[T any] struct {
	mu   sync.Mutex
	mark string
	of   T
}

func (g *guarded[T]) get(mark string, make func() (T, error)) (T, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mark == mark && mark != "" {
		return g.of, nil
	}
	v, err := make()
	if err == nil {
		g.mark, g.of = mark, v
	}
	return v, err
}
