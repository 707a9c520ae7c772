package auth

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/identity"
)

// named is a reference by id, or by name in a domain.
type named struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain *named `json:"domain"`
}

type passwordData struct {
	User *struct {
		named
		Password *string `json:"password"`
	} `json:"user"`
}

type totpData struct {
	User *struct {
		named
		Passcode *string `json:"passcode"`
	} `json:"user"`
}

type tokenData struct {
	ID string `json:"id"`
}

type appCredData struct {
	named
	Secret *string `json:"secret"`
	User   *named  `json:"user"`
}

// request is the body of POST /v3/auth/tokens, read and checked for form.
type request struct {
	methods  []string
	password *passwordData
	token    *tokenData
	appCred  *appCredData
	totp     *totpData
	scope    scope
	receipt  string                 // of an earlier attempt
	signed   identity.SignedRequest // what an OAuth signature is made over
}

// scope is what a login asks for.
type scope struct {
	asked    bool
	unscoped bool
	system   bool
	project  *named
	domain   *named
	trust    string
}

func malformed(what string) error {
	return fault.Invalidf("Expecting to find %s. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.", what)
}

// parse reads a login. Unknown members are ignored, as upstream does.
func parse(payload []byte) (request, error) {
	var r request
	var body struct {
		Auth *struct {
			Identity map[string]json.RawMessage `json:"identity"`
			Scope    json.RawMessage            `json:"scope"`
		} `json:"auth"`
	}
	if err := json.Unmarshal(payload, &body); err != nil || body.Auth == nil {
		return r, malformed("auth in request body")
	}
	if body.Auth.Identity == nil {
		return r, malformed("identity in auth")
	}
	var methods []string
	if err := json.Unmarshal(body.Auth.Identity["methods"], &methods); err != nil || len(methods) == 0 {
		return r, malformed("methods in identity")
	}
	for _, m := range methods {
		if slices.Contains(r.methods, m) {
			continue
		}
		r.methods = append(r.methods, m)
		if err := r.method(m, body.Auth.Identity[m]); err != nil {
			return r, err
		}
	}
	var err error
	r.scope, err = parseScope(body.Auth.Scope)
	return r, err
}

func (r *request) method(name string, raw json.RawMessage) error {
	if len(raw) == 0 {
		return malformed(name + " in identity")
	}
	var into any
	switch name {
	case identity.MethodPassword:
		r.password = &passwordData{}
		into = r.password
	case identity.MethodToken, identity.MethodMapped, identity.MethodSAML2, identity.MethodOpenID:
		r.token = &tokenData{}
		into = r.token
	case identity.MethodAppCredential:
		r.appCred = &appCredData{}
		into = r.appCred
	case identity.MethodTOTP:
		r.totp = &totpData{}
		into = r.totp
	case identity.MethodOAuth1:
		into = &struct{}{} // everything is in the header
	default:
		return fault.New(fault.Unauthenticated, "Attempted to authenticate with an unsupported method.")
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return malformed(name + " of the right form in identity")
	}
	switch {
	case r.password != nil && (r.password.User == nil || (r.password.User.ID == "" && r.password.User.Name == "")):
		return malformed("id or name in user")
	case r.password != nil && r.password.User.Password == nil:
		return malformed("password in user")
	case r.password != nil && r.password.User.ID == "" && r.password.User.Domain.empty():
		return malformed("domain in user")
	case r.totp != nil && (r.totp.User == nil || (r.totp.User.ID == "" && (r.totp.User.Name == "" || r.totp.User.Domain.empty()))):
		return malformed("id, or name and domain, in user")
	case r.totp != nil && r.totp.User.Passcode == nil:
		return malformed("passcode in user")
	case r.token != nil && r.token.ID == "":
		return malformed("id in token")
	case r.appCred != nil && r.appCred.Secret == nil:
		return malformed("secret in application_credential")
	case r.appCred != nil && r.appCred.ID == "" && (r.appCred.Name == "" || r.appCred.User == nil):
		return malformed("id, or name and user, in application_credential")
	}
	return nil
}

func (n *named) empty() bool { return n == nil || (n.ID == "" && n.Name == "") }

func parseScope(raw json.RawMessage) (scope, error) {
	var s scope
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return s, nil
	}
	s.asked = true
	if raw[0] == '"' {
		if string(raw) != `"unscoped"` {
			return s, malformed("system, project, domain, OS-TRUST:trust or unscoped in scope")
		}
		s.unscoped = true
		return s, nil
	}
	var members struct {
		Unscoped json.RawMessage `json:"unscoped"`
		System   json.RawMessage `json:"system"`
		Project  *named          `json:"project"`
		Domain   *named          `json:"domain"`
		Trust    *named          `json:"OS-TRUST:trust"`
	}
	if err := json.Unmarshal(raw, &members); err != nil {
		return s, malformed("scope of the right form")
	}
	s.unscoped, s.system, s.project, s.domain = members.Unscoped != nil, members.System != nil, members.Project, members.Domain
	count := 0
	for _, there := range []bool{s.unscoped, s.system, s.project != nil, s.domain != nil, members.Trust != nil} {
		if there {
			count++
		}
	}
	switch {
	case count != 1:
		return s, malformed("system, project, domain, OS-TRUST:trust or unscoped in scope")
	case s.project.halfEmpty(), s.domain.halfEmpty():
		return s, malformed("id or name in scope")
	case s.project != nil && s.project.ID == "" && s.project.Domain.empty():
		return s, malformed("domain in project")
	case members.Trust != nil && members.Trust.ID == "":
		return s, malformed("trust_id in trust")
	case members.Trust != nil:
		s.trust = members.Trust.ID
	}
	return s, nil
}

// halfEmpty tells a reference that is there but says nothing.
func (n *named) halfEmpty() bool { return n != nil && n.empty() }
