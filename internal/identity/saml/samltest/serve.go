package samltest

import (
	"bytes"
	"compress/flate"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

const (
	nsSOAP     = "http://schemas.xmlsoap.org/soap/envelope/"
	nsECP      = "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"
	maxRequest = 64 << 10
)

var (
	errForm = errors.New("no request of SAML 2.0")
	errUser = errors.New("unknown user or wrong password")
)

// ServeHTTP answers GET /metadata, GET and POST /sso, and POST /ecp.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	var body []byte
	var err error
	switch r.Method + " " + r.URL.Path {
	case "GET /metadata":
		w.Header().Set("Content-Type", "application/samlmetadata+xml")
		body, err = p.Metadata()
	case "GET /sso", "POST /sso":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		body, err = p.browser(r)
	case "POST /ecp":
		w.Header().Set("Content-Type", "text/xml")
		body, err = p.ecp(r)
	default:
		http.NotFound(w, r)
		return
	}
	switch {
	case errors.Is(err, errUser):
		w.Header().Set("WWW-Authenticate", `Basic realm="samltest"`)
		http.Error(w, err.Error(), http.StatusUnauthorized)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		_, _ = w.Write(body) // a client that has gone misses nothing
	}
}

// browser answers a request from a browser with a page that posts a form.
func (p *Provider) browser(r *http.Request) ([]byte, error) {
	encoded, state := r.URL.Query().Get("SAMLRequest"), r.URL.Query().Get("RelayState")
	if r.Method == http.MethodPost {
		encoded, state = r.PostFormValue("SAMLRequest"), r.PostFormValue("RelayState")
	}
	document, err := base64.StdEncoding.DecodeString(encoded)
	if err == nil && r.Method == http.MethodGet {
		document, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(document)), maxRequest))
	}
	if err != nil {
		return nil, errForm
	}
	req, err := p.answer(r, document, state)
	if err != nil {
		return nil, err
	}
	form, err := req.PostBinding()
	if err != nil {
		return nil, err
	}
	page := etree.NewDocument()
	body := page.CreateElement("html").CreateElement("body")
	body.CreateAttr("onload", "document.forms[0].submit()")
	f := body.CreateElement("form")
	f.CreateAttr("method", "post")
	f.CreateAttr("action", form.URL)
	for name, value := range map[string]string{"SAMLResponse": form.SAMLResponse, "RelayState": form.RelayState} {
		field := f.CreateElement("input")
		field.CreateAttr("type", "hidden")
		field.CreateAttr("name", name)
		field.CreateAttr("value", value)
	}
	return page.WriteToBytes()
}

// ecp answers a request in SOAP by a response in SOAP.
func (p *Provider) ecp(r *http.Request) ([]byte, error) {
	in := etree.NewDocument()
	if _, err := in.ReadFrom(r.Body); err != nil || in.Root() == nil {
		return nil, errForm
	}
	var request *etree.Element
	for _, body := range in.Root().ChildElements() {
		if body.Tag == "Body" && len(body.ChildElements()) == 1 {
			request = body.ChildElements()[0]
		}
	}
	if request == nil {
		return nil, errForm
	}
	alone := etree.NewDocument()
	alone.SetRoot(request.Copy())
	document, err := alone.WriteToBytes()
	if err != nil {
		return nil, err
	}
	req, err := p.answer(r, document, "")
	if err != nil {
		return nil, err
	}
	if err := req.MakeResponse(); err != nil {
		return nil, err
	}
	out := etree.NewDocument()
	root := out.CreateElement("soap11:Envelope")
	root.CreateAttr("xmlns:soap11", nsSOAP)
	answer := root.CreateElement("soap11:Header").CreateElement("ecp:Response")
	answer.CreateAttr("xmlns:ecp", nsECP)
	answer.CreateAttr("soap11:mustUnderstand", "1")
	answer.CreateAttr("soap11:actor", "http://schemas.xmlsoap.org/soap/actor/next")
	answer.CreateAttr("AssertionConsumerServiceURL", req.ACSEndpoint.Location)
	root.CreateElement("soap11:Body").AddChild(req.ResponseEl)
	return out.WriteToBytes()
}

// answer checks a request and its user, and prepares what to say.
func (p *Provider) answer(r *http.Request, document []byte, state string) (*saml.IdpAuthnRequest, error) {
	req := &saml.IdpAuthnRequest{IDP: p.idp, HTTPRequest: r, RelayState: state, RequestBuffer: document, Now: p.clock.Now()}
	if err := req.Validate(); err != nil {
		return nil, err
	}
	if err := p.checkSignature(req, r); err != nil {
		return nil, fmt.Errorf("signature of the request: %w", err)
	}
	name, password, _ := r.BasicAuth()
	u, ok := p.users[name]
	if !ok || u.Password != password {
		return nil, errUser
	}
	req.Assertion = p.assertion(req, u)
	return req, nil
}

// checkSignature wants every request signed by the service's key.
func (p *Provider) checkSignature(req *saml.IdpAuthnRequest, r *http.Request) error {
	cert, err := signer(req.ServiceProviderMetadata)
	if err != nil {
		return err
	}
	if r.Method == http.MethodGet {
		part, encoded, _ := strings.Cut(r.URL.RawQuery, "&Signature=")
		encoded, err = url.QueryUnescape(encoded)
		if err != nil {
			return err
		}
		signature, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return err
		}
		return checkQuery(cert, part, signature)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(req.RequestBuffer); err != nil {
		return err
	}
	v := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{cert}})
	v.Clock = dsig.NewFakeClockAt(p.clock.Now())
	_, err = v.Validate(doc.Root())
	return err
}
