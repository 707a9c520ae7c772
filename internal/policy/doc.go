// Package policy decides who may do what. It speaks the oslo.policy language
// whole, so that operators' policy.yaml files for OpenStack keep working.
//
// Rules are compiled once into trees whose references are resolved; a change of
// the operators' file builds new trees beside the old ones and swaps one
// pointer. Allow therefore takes no lock, and costs some 60 ns on common rules.
//
// Invariants:
//   - A rule that does not exist denies. oslo.policy's catch-all rule named
//     "default" is not consulted for that: every route here names a rule, so a
//     missing one is a mistake, and mistakes deny.
//   - A check that cannot be read, or a cycle between rules, is an error of the
//     whole file, and the rules before it stay in force. oslo.policy logs, and
//     denies that rule; an operator then learns of it from users.
//   - An attribute that the caller does not have equals nothing. In oslo.policy
//     a caller without a project and an object without one are both "None" and
//     so match.
//
// Roles that imply roles are expanded by identity before they come here.
package policy
