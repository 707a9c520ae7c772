// Package mapping turns what an identity provider says of somebody (claims)
// into who that is here: a user, groups, and roles on projects. It is the rule
// engine of OS-FEDERATION, without I/O; facts are those of upstream's
// RuleProcessor and of its JSON schemas 1.0, 2.0 and 3.0
// (keystone/federation/utils.py).
//
// Invariants:
//   - What Parse accepts, Apply can carry out: a reference to a claim that its
//     rule does not read, an expression RE2 does not know, and a list that holds
//     anything but texts are refused when the mapping is made.
//   - A claim is a list of values and stays one. No value is split, and no text
//     that came out of a claim is read as a list, a template or an expression.
//   - Work and results are bounded, whoever wrote the rules or the claims.
//   - In doubt nobody is logged in: a rule that wants one value and finds several
//     or none refuses the login.
//
// Where upstream does otherwise:
//   - It splits every value at ";" (its web server hands it lists in that form)
//     and reads what it put into "groups" and "group_ids" as a Python list. Who
//     may choose a display name there could so name groups.
//   - Its templates are Python's: "{0.x}" and "{0[1]}" reach into objects. Here
//     there are {0}, {} and doubled braces.
//   - Its expressions are Python's. "\d" and "\w" know ASCII only here, "$" does
//     not match before a newline at the end, and there is no looking around.
//   - By schema 1.0, with "domain" beside "groups", a value "JSON:{…}" is a name
//     like others: an identity provider cannot leave the domain the rule names.
//     By 2.0 and later it can, as upstream documents it.
//
// Rejected: the module xeipuuv/gojsonschema or one like it (a dependency, and
// oneOf tells nobody what is wrong), and compiling templates on each login.
package mapping
