// Package model compares the API with a model of it: clients beside each other
// do random verbs of identity, network, image, volume, server and object
// services over HTTP, and every answer must be one that the model allows.
//
// What a client wrote it reads at once, alone and in lists; what is gone stays
// gone; a list in pages has each unchanged item exactly once while others come
// and go; quotas let through as many of parallel creates as they have room for;
// statuses follow the automaton of servers; names and objects that all clients
// share behave as if one client had worked at a time (porcupine checks that).
package model
