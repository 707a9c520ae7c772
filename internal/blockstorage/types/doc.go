// Package types serves volume types: their extra specs, who may use private
// ones, and which one projects get when they name none. The type named
// __DEFAULT__ is made at start and cannot be deleted while it is the default.
package types
