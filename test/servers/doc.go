// Package servers proves that several servers on one PostgreSQL are one cloud:
// any of them may be killed or stopped under load, the database restarted, the
// bus cut, and no request fails that is tried once more.
//
// The servers are processes of the real binary; hosts are processes of "mek
// agent --simulate" that join every server; a small TCP front stands for the
// load balancer. Nothing here looks into a process: what users see counts, and
// what the cloud's own checks find at the end.
package servers
