// Package failure holds the errors of Amazon's S3: a code, the status and the
// text that belong to it, and the members that its XML body adds.
//
// Codes and statuses are S3's own, as clients switch on them; where Swift's S3
// interface answers otherwise than Amazon, Swift's answer is taken.
package failure
