// Package remote joins a hub and agents over the network: control by NATS,
// bytes by streams that the agent dials, both with mutual TLS.
//
// The NATS server runs inside the server's process. It takes an agent by its
// client certificate only, and lets it publish and subscribe nothing but its
// own subjects, so one host's key is worth one host:
//
//	mek.s.HOST.{hello,beat,report,tell}    agent → server
//	mek.a.HOST.{doc,cmd,forget,dial}       server → agent
//
// HOST is the host's name in hexadecimal. Nothing on the bus is kept: whoever
// was not listening asks again.
//
// Streams do not go through NATS, whose buffers they would fill. Each is one
// TLS connection that begins with one frame each way (a length, then JSON) and
// then is the bytes. An end without TLS's closing record is an error to the
// reader, so a file cut short is never taken for the whole.
package remote
