// Package sim is a driver of guests by name only: it does what the contract
// says and runs nothing. It is for tests, for trying the cloud without
// privileges, and for ten thousand hosts on one machine.
//
// It is slow, fails and loses replies when it is told to (Config.Fault), so
// that what is above it meets in a test what real hosts do on a bad day.
// Its facts say driver "sim"; nothing above it behaves differently for that.
package sim
