// Package checksum computes what S3 clients call additional checksums: CRC32,
// CRC32C, CRC64NVME, SHA1 and SHA256 in base64, of whole objects and of objects
// made of parts.
package checksum
