// Package groups is the resources security group and security group rule.
//
// Each project has a group named default, made the first time somebody needs
// or lists it. A rule that the engine cannot enforce is refused: an accepted
// rule that does nothing would be worse than none.
package groups
