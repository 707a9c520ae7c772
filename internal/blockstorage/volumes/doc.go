// Package volumes serves volumes: their rows, their API, the sagas that have
// hosts make, grow, move and remove them, and the contract that other services
// use (blockstorage.Service).
//
// A request writes the row and a saga in one transaction and returns; the saga
// raises the revision of the host that keeps the volume and waits for its
// report. Which host that is, is decided when the volume is made: where its
// source is, or where most room is left.
package volumes
