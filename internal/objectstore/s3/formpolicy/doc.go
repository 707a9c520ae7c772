// Package formpolicy reads the signed policies of browsers' uploads to S3 and
// holds forms against them.
package formpolicy
