// Package statefulness is the resource that says whether new security groups
// are stateful: one for each project at most, and one for all the others. Groups
// that are there stay as they are. A project's group named default is always
// made stateful, as upstream makes it.
package statefulness
