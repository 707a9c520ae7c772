// Package guesttest is the conformance suite of guest drivers: what the
// contract in package guest promises, asked of a driver by its interface only.
//
// Run is called by the tests of each driver. A Site stands for the rest of the
// host: images, volumes and ports that a driver asks for.
package guesttest
