// Package document holds the XML documents of S3: what clients send, read
// without entities, directives or depth, and what they get.
//
// Decode walks the tokens once before it fills a value: encoding/xml keeps no
// limits of its own. Values are checked by whoever uses them; what is not known
// in a document is ignored, as Swift and Amazon do.
package document
