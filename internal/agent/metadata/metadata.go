package metadata

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/compute/guest/configdrive"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// Ports tells which server's port a peer address stands for.
type Ports interface {
	ServerAt(peer netip.Addr) (serverID string, ok bool)
}

// Guests has the documents of the servers on this host.
type Guests interface {
	Metadata(serverID string) (guest.Metadata, bool)
}

// Teller passes a posted password on to the server.
type Teller interface {
	Tell(ctx context.Context, section hostlink.Section, object, verb string, params any) error
}

// passwordLimit is the longest password that a guest may post, in bytes.
const passwordLimit = 255

// Service answers guests. Safe for concurrent use.
type Service struct {
	ports  Ports
	guests Guests
	up     Teller
	log    *slog.Logger
}

// New makes the service of a host.
func New(ports Ports, guests Guests, up Teller, log *slog.Logger) *Service {
	return &Service{ports: ports, guests: guests, up: up, log: log}
}

// Serve answers on a listener until ctx ends.
func (s *Service) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 20 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // what it closes is ours alone
	defer stop()
	err := server.Serve(l)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// ServeHTTP answers one request of a guest.
func (s *Service) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		http.Error(rw, "404 Not Found", http.StatusNotFound)
		return
	}
	server, ok := s.ports.ServerAt(peer.Addr())
	if !ok {
		http.Error(rw, "404 Not Found", http.StatusNotFound)
		return
	}
	m, ok := s.guests.Metadata(server)
	if !ok {
		http.Error(rw, "404 Not Found", http.StatusNotFound)
		return
	}
	path := split(r.URL.Path)
	if len(path) == 3 && path[0] == "openstack" && path[2] == "password" && known(path[1]) {
		s.password(rw, r, server, m)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(rw, "405 Method Not Allowed", http.StatusMethodNotAllowed)
		return
	}
	body, kind, ok := Answer(m, path)
	if !ok {
		http.Error(rw, "404 Not Found", http.StatusNotFound)
		return
	}
	rw.Header().Set("Content-Type", kind)
	_, _ = rw.Write(body) // the guest went away: nobody to tell
}

// password answers what the guest posted before, or passes on what it posts:
// the server keeps it, and says so when there is one already.
func (s *Service) password(rw http.ResponseWriter, r *http.Request, server string, m guest.Metadata) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		rw.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		_, _ = io.WriteString(rw, m.Password) // the guest went away: nobody to tell
	case http.MethodPost:
		s.post(rw, r, server, m)
	default:
		http.Error(rw, "405 Method Not Allowed", http.StatusMethodNotAllowed)
	}
}

func (s *Service) post(rw http.ResponseWriter, r *http.Request, server string, m guest.Metadata) {
	b, err := io.ReadAll(io.LimitReader(r.Body, passwordLimit+1))
	switch {
	case err != nil || len(b) > passwordLimit:
		http.Error(rw, "Request is too large.", http.StatusBadRequest)
		return
	case m.Password != "":
		http.Error(rw, "409 Conflict", http.StatusConflict)
		return
	}
	err = s.up.Tell(r.Context(), hostlink.Guests, server, "password", map[string]string{"password": string(b)})
	switch {
	case fault.Is(err, fault.Conflict):
		http.Error(rw, "409 Conflict", http.StatusConflict)
	case err != nil:
		s.log.Warn("posted password not passed on; the guest may post again", "server", server, "error", err)
		http.Error(rw, "503 Service Unavailable", http.StatusServiceUnavailable)
	default:
		rw.WriteHeader(http.StatusOK)
	}
}

func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" })
}

func known(version string) bool {
	return version == configdrive.Latest || slices.Contains(configdrive.Versions(), version)
}

// Answer is what is at a path of a guest's metadata: pure, and the same tree
// that the config drive has.
func Answer(m guest.Metadata, path []string) (body []byte, contentType string, ok bool) {
	if len(path) > 0 && path[0] == "openstack" {
		return openstack(m, path)
	}
	return ec2(m, path)
}

const plain = "text/plain; charset=UTF-8"

func openstack(m guest.Metadata, path []string) ([]byte, string, bool) {
	if len(path) == 1 {
		return lines(append(configdrive.Versions(), configdrive.Latest)), plain, true
	}
	want := strings.Join(path, "/")
	var names []string
	for _, f := range configdrive.Tree(m) {
		if f.Path == want {
			return f.Data, typeOf(want), true
		}
		if rest, inside := strings.CutPrefix(f.Path, want+"/"); inside && !strings.Contains(rest, "/") {
			names = append(names, rest)
		}
	}
	if len(path) == 2 && known(path[1]) {
		names = append(names, "password")
		slices.Sort(names)
		return lines(names), plain, true
	}
	return nil, "", false
}

func typeOf(path string) string {
	switch {
	case strings.HasSuffix(path, ".json"):
		return "application/json"
	case strings.HasSuffix(path, "user_data"), strings.Contains(path, "/content/"):
		return "application/octet-stream"
	}
	return plain
}

func lines(words []string) []byte { return []byte(strings.Join(words, "\n")) }

// ec2Versions are those that upstream lists.
var ec2Versions = []string{"1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04"}

func ec2(m guest.Metadata, path []string) ([]byte, string, bool) {
	if len(path) == 0 {
		return lines(append(slices.Clone(ec2Versions), configdrive.Latest)), plain, true
	}
	if path[0] != configdrive.Latest && !slices.Contains(ec2Versions, path[0]) {
		return nil, "", false
	}
	if len(path) == 1 {
		list := []string{"meta-data/"}
		if m.UserData != nil {
			list = append(list, "user-data")
		}
		return lines(list), plain, true
	}
	switch path[1] {
	case "user-data":
		return m.UserData, "application/octet-stream", m.UserData != nil && len(path) == 2
	case "meta-data":
		var tree any
		if json.Unmarshal(m.EC2, &tree) != nil {
			return nil, "", false
		}
		body, ok := walk(tree, path[2:])
		return body, plain, ok
	}
	return nil, "", false
}

// walk finds a place in the EC2 tree. A folder with a member _name is listed
// by it ("0=mykey"), others with a slash.
func walk(tree any, path []string) ([]byte, bool) {
	for _, step := range path {
		folder, isFolder := tree.(map[string]any)
		next, exists := folder[step]
		if !isFolder || !exists {
			return nil, false
		}
		tree = next
	}
	switch x := tree.(type) {
	case map[string]any:
		return lines(listFolder(x)), true
	case []any:
		var out []string
		for _, e := range x {
			out = append(out, scalar(e))
		}
		return lines(out), true
	default:
		return []byte(scalar(x)), true
	}
}

func listFolder(folder map[string]any) []string {
	var out []string
	for name, v := range folder {
		if name == "_name" {
			continue
		}
		if sub, ok := v.(map[string]any); ok {
			label, named := sub["_name"].(string)
			if !named {
				label = name + "/"
			}
			name = label
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func scalar(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	default:
		b, err := json.Marshal(x)
		if err != nil {
			return "" // came from JSON, so it goes back
		}
		return string(b)
	}
}
