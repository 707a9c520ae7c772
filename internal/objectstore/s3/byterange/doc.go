// Package byterange reads the ranges of S3 requests: one range, of bytes.
package byterange
