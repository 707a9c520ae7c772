package saml

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/beevik/etree"
)

var (
	errForeign     = errors.New("said by another than the provider")
	errElsewhere   = errors.New("addressed to somebody else")
	errUnasked     = errors.New("answers no request of ours")
	errEarly       = errors.New("not valid yet")
	errLate        = errors.New("not valid any more")
	errNoSubject   = errors.New("an assertion without identifier, version, subject or authentication")
	errNoBearer    = errors.New("no confirmation as bearer")
	errNoAudience  = errors.New("no audience named in answer to a request")
	errEncryptedID = errors.New("encrypted names and attributes are not read")
	errCondition   = errors.New("a condition that is not known")
)

// success checks that the provider has not said no.
func success(response *etree.Element) error {
	status, err := one(response, nsProtocol, "Status")
	if err != nil {
		return err
	}
	code, err := one(status, nsProtocol, "StatusCode")
	if err != nil {
		return err
	}
	if value := attr(code, "Value"); value != statusSuccess {
		detail, message := "", ""
		if inner := code.ChildElements(); len(inner) > 0 {
			detail = attr(inner[0], "Value")
		}
		if m := children(status, nsProtocol, "StatusMessage"); len(m) > 0 {
			message, _ = text(m[0]) // for the log only
		}
		return fmt.Errorf("the provider answers %q %q: %q", value, detail, message)
	}
	return nil
}

// addressed checks what a response says of itself.
func (a *answer) addressed(response *etree.Element) error {
	issuer, err := optional(response, nsAssertion, "Issuer")
	if err != nil {
		return err
	}
	if issuer != nil {
		if err := a.issued(issuer); err != nil {
			return err
		}
	}
	if to := attr(response, "Destination"); to != "" && to != a.service.ACS {
		return fmt.Errorf("response to %q: %w", to, errElsewhere)
	}
	if to := attr(response, "InResponseTo"); to != "" || a.requests == nil {
		return a.asked(to)
	}
	return nil // the assertion says it, which is always signed
}

func (a *answer) issued(issuer *etree.Element) error {
	name, err := word(issuer)
	if err == nil && name != a.provider.EntityID {
		err = fmt.Errorf("issued by %q: %w", name, errForeign)
	}
	return err
}

// asked checks which request is answered.
func (a *answer) asked(inResponseTo string) error {
	if (a.requests == nil) != (inResponseTo == "") || a.requests != nil && !slices.Contains(a.requests, inResponseTo) {
		return fmt.Errorf("in response to %q: %w", inResponseTo, errUnasked)
	}
	return nil
}

// within checks two times of which either may be absent.
func (a *answer) within(notBefore, notOnOrAfter time.Time) error {
	switch {
	case !notBefore.IsZero() && a.now.Add(Skew).Before(notBefore):
		return errEarly
	case !notOnOrAfter.IsZero() && !a.now.Add(-Skew).Before(notOnOrAfter):
		return errLate
	}
	return nil
}

// believe reads a verified assertion, if it is for us and for now.
func (a *answer) believe(e *etree.Element) (*Assertion, error) {
	issuer, err := one(e, nsAssertion, "Issuer")
	if err != nil {
		return nil, err
	}
	if err := a.issued(issuer); err != nil {
		return nil, err
	}
	out := &Assertion{ID: attr(e, "ID"), Issuer: a.provider.EntityID, Attributes: map[string][]string{}}
	if out.ID == "" || attr(e, "Version") != version {
		return nil, errNoSubject
	}
	for _, part := range []func(*etree.Element, *Assertion) error{a.subject, a.conditions, a.session, attributes} {
		if err := part(e, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a *answer) subject(e *etree.Element, out *Assertion) error {
	subject, err := one(e, nsAssertion, "Subject")
	if err != nil {
		return err
	}
	if len(children(subject, nsAssertion, "EncryptedID")) > 0 {
		return errEncryptedID
	}
	name, err := optional(subject, nsAssertion, "NameID")
	if err != nil {
		return err
	}
	if name != nil {
		if out.NameID, err = text(name); err != nil {
			return err
		}
	}
	why := []error{errNoBearer}
	for _, c := range children(subject, nsAssertion, "SubjectConfirmation") {
		if attr(c, "Method") != methodBearer {
			continue
		}
		end, err := a.bearer(c)
		if err == nil {
			out.NotOnOrAfter = end
			return nil
		}
		why = append(why, err)
	}
	return errors.Join(why...)
}

// bearer checks one confirmation that whoever has the assertion is its subject,
// and says how long.
func (a *answer) bearer(confirmation *etree.Element) (time.Time, error) {
	data, err := one(confirmation, nsAssertion, "SubjectConfirmationData")
	if err != nil {
		return time.Time{}, err
	}
	if to := attr(data, "Recipient"); to != a.service.ACS {
		return time.Time{}, fmt.Errorf("for %q: %w", to, errElsewhere)
	}
	if err := a.asked(attr(data, "InResponseTo")); err != nil {
		return time.Time{}, err
	}
	begin, err := moment(data, "NotBefore")
	if err != nil {
		return begin, err
	}
	end, err := moment(data, "NotOnOrAfter")
	if err != nil {
		return end, err
	}
	if end.IsZero() { // it would be good for ever
		return end, errLate
	}
	return end, a.within(begin, end)
}

// conditions may be absent where nobody asked, as upstream Keystone leaves them
// out: the recipient is what binds such an assertion to us.
func (a *answer) conditions(e *etree.Element, out *Assertion) error {
	c, err := optional(e, nsAssertion, "Conditions")
	if err != nil {
		return err
	}
	named := false
	if c != nil {
		begin, err := moment(c, "NotBefore")
		if err != nil {
			return err
		}
		end, err := moment(c, "NotOnOrAfter")
		if err != nil {
			return err
		}
		if err := a.within(begin, end); err != nil {
			return err
		}
		if !end.IsZero() && end.Before(out.NotOnOrAfter) {
			out.NotOnOrAfter = end
		}
		if named, err = a.audience(c); err != nil {
			return err
		}
	}
	if !named && a.requests != nil {
		return errNoAudience
	}
	return nil
}

// audience checks that each restriction names us, and tells whether any did.
func (a *answer) audience(conditions *etree.Element) (named bool, err error) {
	for _, c := range conditions.ChildElements() {
		switch {
		case is(c, nsAssertion, "AudienceRestriction"):
			if err := a.among(c); err != nil {
				return false, err
			}
			named = true
		case is(c, nsAssertion, "OneTimeUse"), is(c, nsAssertion, "ProxyRestriction"): // once is all that callers let through; we are no proxy
		default:
			return false, errCondition
		}
	}
	return named, nil
}

func (a *answer) among(restriction *etree.Element) error {
	var names []string
	for _, e := range children(restriction, nsAssertion, "Audience") {
		name, err := word(e)
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	if !slices.Contains(names, a.service.EntityID) {
		return fmt.Errorf("for %q: %w", names, errElsewhere)
	}
	return nil
}

// session reads the statement that the subject has authenticated.
func (a *answer) session(e *etree.Element, out *Assertion) error {
	statements := children(e, nsAssertion, "AuthnStatement")
	if len(statements) == 0 {
		return errNoSubject
	}
	for _, s := range statements {
		end, err := moment(s, "SessionNotOnOrAfter")
		if err != nil {
			return err
		}
		if err := a.within(time.Time{}, end); err != nil {
			return err
		}
	}
	out.SessionIndex = attr(statements[0], "SessionIndex")
	return nil
}

func attributes(e *etree.Element, out *Assertion) error {
	friendly := map[string][]string{}
	for _, statement := range children(e, nsAssertion, "AttributeStatement") {
		if len(children(statement, nsAssertion, "EncryptedAttribute")) > 0 {
			return errEncryptedID
		}
		for _, at := range children(statement, nsAssertion, "Attribute") {
			list := values(at)
			if name := attr(at, "Name"); name != "" {
				out.Attributes[name] = append(out.Attributes[name], list...)
			}
			if name := attr(at, "FriendlyName"); name != "" {
				friendly[name] = append(friendly[name], list...)
			}
		}
	}
	for name, list := range friendly {
		if _, taken := out.Attributes[name]; !taken {
			out.Attributes[name] = list
		}
	}
	return nil
}

// values reads the texts of an attribute. One value of another kind is known: a
// NameID, as eduPersonTargetedID is written. Others are left out.
func values(attribute *etree.Element) []string {
	var list []string
	for _, v := range children(attribute, nsAssertion, "AttributeValue") {
		if inner := v.ChildElements(); len(inner) == 1 && is(inner[0], nsAssertion, "NameID") {
			v = inner[0]
		}
		if s, err := text(v); err == nil {
			list = append(list, s)
		}
	}
	return list
}
