// Package samltest is a small identity provider for tests: it signs users in by
// basic authentication, answers browsers at /sso and clients of ECP at /ecp, and
// checks the signatures of requests. It is built on crewjam/saml, so that
// package saml is tested against a program that others have written: responses
// and assertions are signed, and assertions encrypted for services that name a
// key for it.
package samltest
