// Package roles keeps roles and which role implies which. A role of a domain
// acts only through the global roles it implies; admin is implied by nothing.
package roles
