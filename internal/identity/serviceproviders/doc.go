// Package serviceproviders keeps the service providers of OS-FEDERATION: other
// clouds to which this one vouches for its users. Tokens list the enabled ones.
package serviceproviders
