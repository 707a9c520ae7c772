package compute

import "strings"

// ImageFacts is what a server keeps of the image it was made from: images of
// the server inherit it, also when the first image is gone.
type ImageFacts struct {
	Properties map[string]string `json:",omitempty"`
	MinDiskGiB int64             `json:",omitempty"`
	MinRAMMiB  int64             `json:",omitempty"`
}

// notInherited are properties about an image's own bytes: an image of a server
// made from it has other bytes.
var notInherited = map[string]bool{"cache_in_nova": true, "bittorrent": true, "img_signature_hash_method": true, "img_signature": true,
	"img_signature_key_type": true, "img_signature_certificate_uuid": true, "cinder_encryption_key_id": true,
	"cinder_encryption_key_deletion_policy": true, "signature_verified": true}

// Inherited are the properties that images of the server get.
func (f ImageFacts) Inherited() map[string]string {
	out := map[string]string{}
	for k, v := range f.Properties {
		if !notInherited[k] && !strings.HasPrefix(k, "os_glance_") {
			out[k] = v
		}
	}
	return out
}
