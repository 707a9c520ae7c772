package joining

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
)

// The paths below the front door. They are no OpenStack API.
const (
	pathTokens    = "/agents/tokens"
	pathJoin      = "/agents/join"
	pathRenew     = "/agents/renew"
	pathAuthority = "/agents/authority"
)

const maxBody = 16 << 10 // nobody has proved anything yet

// Caller tells who asks, if it is an administrator.
type Caller func(r *http.Request) (event.Record, error)

// MintRequest asks for a token.
type MintRequest struct {
	Seconds int `json:"seconds"` // 0: the default
}

// Minted is a new token.
type Minted struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// Handle adds the routes. Tokens are for administrators; whoever joins or
// renews proves it by what it sends.
func (s *Service) Handle(mux *http.ServeMux, admin Caller) {
	mux.HandleFunc("POST "+pathTokens, func(w http.ResponseWriter, r *http.Request) {
		by, err := admin(r)
		if err != nil {
			http.Error(w, "for administrators", http.StatusUnauthorized)
			return
		}
		serve(s, w, r, func(ctx context.Context, in MintRequest) (any, error) {
			lifetime := time.Duration(in.Seconds) * time.Second
			if in.Seconds == 0 {
				lifetime = DefaultLifetime
			}
			t, end, err := s.Mint(ctx, lifetime, by)
			return Minted{t.String(), end}, err
		})
	})
	mux.HandleFunc("POST "+pathJoin, func(w http.ResponseWriter, r *http.Request) {
		serve(s, w, r, func(ctx context.Context, in Request) (any, error) { return s.Join(ctx, in) })
	})
	mux.HandleFunc("POST "+pathRenew, func(w http.ResponseWriter, r *http.Request) {
		serve(s, w, r, func(ctx context.Context, in struct {
			CSR []byte `json:"csr"`
		}) (any, error) {
			return s.Renew(ctx, in.CSR)
		})
	})
	mux.HandleFunc("GET "+pathAuthority, func(w http.ResponseWriter, _ *http.Request) {
		authority, err := s.cfg.Authority()
		if err != nil {
			s.cfg.Log.Error("certificate authority cannot be read", "error", err)
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(authority.RootPEM()) // a client that left needs no answer
	})
}

// serve decodes a body, refusing what it does not know, and answers with JSON.
func serve[T any](s *Service, w http.ResponseWriter, r *http.Request, do func(context.Context, T) (any, error)) {
	var in T
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	out, err := do(r.Context(), in)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // a client that left needs no answer
}

var statusOf = map[fault.Kind]int{fault.Invalid: http.StatusBadRequest, fault.Forbidden: http.StatusForbidden, fault.Conflict: http.StatusConflict}

// refuse says why; what went wrong inside is in the log only.
func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, known := statusOf[fault.KindOf(err)]
	if !known {
		s.cfg.Log.Error("a host's request failed", "path", r.URL.Path, "error", err)
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	s.cfg.Log.Warn("a host's request was refused", "path", r.URL.Path, "address", r.RemoteAddr, "error", err)
	http.Error(w, fault.As(err).Text, status)
}
