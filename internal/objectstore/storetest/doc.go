// Package storetest is the suite that every back end of object storage passes.
//
// It knows nothing but the contract. A back end calls Run with a function that
// makes an empty store on a clock; what a back end has beyond the contract
// (crashes, full disks, garbage) it tests itself.
package storetest
