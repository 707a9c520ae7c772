// Package addressgroups is the resource address group: a named set of
// addresses that security group rules refer to. Changing the set changes what
// those rules let pass, without touching the rules.
package addressgroups
