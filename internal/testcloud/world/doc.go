// Package world fills a test cloud with people of every kind and one object of
// every kind, and knows for each route the address of the object it is about.
// The persona matrix and the hostile run stand on it.
package world
