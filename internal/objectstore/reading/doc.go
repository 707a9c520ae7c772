// Package reading gives objects as clients see them: it follows links and puts
// large objects together. It is the objectstore.Reader of every API.
//
// Invariants: memory is bounded by one manifest and one page of a listing; at
// most one segment is open per level; a segment that is not what its manifest
// says ends the answer, it is never replaced by other bytes.
package reading
