// Package hub is the server's side of hostlink, the same for every placement:
// it renders documents when poked, keeps each host's lease and last reports,
// and implements hostlink.Hosts for features.
//
// Invariants: at most one rendering of a (host, section) runs at a time, and a
// poke that comes meanwhile causes one more; a document whose revision and
// digest the host holds is not sent; what a host says is filed under the name
// its placement authenticated, never under one it states.
//
// What a transaction changed by name (hostlink.Hosts.Raised) is rendered and sent
// by itself, ahead of whole sections: somebody waits for it. What was not named,
// what does not fit, and each host in its turn is rendered whole.
//
// Nothing here is durable. After a restart of the server each agent says hello
// and repeats its reports, and that is all a hub knows, but for the Book: which
// document each host accepted last. A host that has it still, and for which
// nothing was raised since, is not rendered when it connects. So everything that
// a document shows and that hosts must learn of soon raises its revision; what
// changes without (a name server of a subnet in a guest's metadata) arrives with
// a repair, which in a large cloud renders some hosts in turn.
package hub
