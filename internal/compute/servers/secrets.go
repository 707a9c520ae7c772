package servers

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/mekcloud/mek/internal/compute/guest"
)

// Sealer encrypts with a key of the installation; name binds a sealed value to
// where it belongs.
type Sealer interface {
	Seal(name string, secret []byte) []byte
	Open(name string, sealed []byte) ([]byte, error)
}

// sealed begins what is stored sealed. No user data does: it is base64.
const sealed = "\x01sealed:"

// hide seals what users give to their servers and nobody else should read: user
// data and files often have passwords in them. Rows and what is made of them
// never hold it open; it is opened for the host, and for the API.
func (s *Servers) hide(one *Server) {
	if s.Sealer == nil {
		return
	}
	one.UserData = s.seal("user data "+one.ID, one.UserData)
	one.Files = slices.Clone(one.Files)
	for i, f := range one.Files {
		one.Files[i].Data = []byte(s.seal("file "+one.ID+" "+f.Path, string(f.Data)))
	}
}

func (s *Servers) seal(name, text string) string {
	if text == "" || strings.HasPrefix(text, sealed) {
		return text
	}
	return sealed + base64.StdEncoding.EncodeToString(s.Sealer.Seal(name, []byte(text)))
}

// open is the inverse. What was stored before it was sealed is as it was.
func (s *Servers) open(name, text string) string {
	inner, ok := strings.CutPrefix(text, sealed)
	if !ok || s.Sealer == nil {
		return text
	}
	raw, err := base64.StdEncoding.DecodeString(inner)
	if err == nil {
		raw, err = s.Sealer.Open(name, raw)
	}
	if err != nil {
		s.Log.Error("a server's user data do not open with this master key", "name", name, "error", err)
		return ""
	}
	return string(raw)
}

// userData is what the user gave, base64.
func (s *Servers) userData(one *Server) string { return s.open("user data "+one.ID, one.UserData) }

// shown is a server with its secrets open, for its host.
func (s *Servers) shown(one *Server) *Server {
	out := *one
	out.UserData = s.userData(one)
	out.Files = slices.Clone(one.Files)
	for i, f := range out.Files {
		out.Files[i] = guest.File{Path: f.Path, Data: []byte(s.open("file "+one.ID+" "+f.Path, string(f.Data)))}
	}
	return &out
}
