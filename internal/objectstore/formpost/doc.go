// Package formpost takes files of an HTML form: whoever has a form that was
// signed with a key of the account or container may put files under its prefix.
//
// A file is stored while it comes in. What the form says before its first file
// counts; what comes later is not signed and is ignored, the address to go on to
// included: upstream follows one that nobody has signed.
package formpost
