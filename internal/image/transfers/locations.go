package transfers

import (
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/mekcloud/mek/internal/egress"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/image"
)

// location is where the bytes of an image are to be brought from.
type location struct {
	URL  string `json:"url"`
	Hash struct {
		Algo  string `json:"os_hash_algo"`
		Value string `json:"os_hash_value"`
	} `json:"validation_data"`
}

// parseLocation reads the body of a request that adds a location.
func parseLocation(body []byte) (l location, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return l, fault.Invalidf("Malformed request body: a JSON object is expected.").Because(err)
	}
	if _, ok := members["url"]; !ok {
		return l, fault.Invalidf("Provided object does not match schema 'location': 'url' is a required property")
	}
	if err := json.Unmarshal(body, &l); err != nil {
		return l, fault.Invalidf("Provided object does not match schema 'location'").Because(err)
	}
	return l, l.checkHash()
}

// checkHash refuses a digest that no image here could have.
func (l location) checkHash() error {
	const size = 64 // bytes of SHA-512
	switch h := l.Hash; {
	case h.Algo == "" && h.Value == "":
		return nil
	case h.Algo == "" || h.Value == "":
		return fault.Invalidf("Provided object does not match schema 'location': os_hash_algo and os_hash_value belong together")
	case h.Algo != image.HashAlgo:
		return fault.Invalidf("os_hash_algo must be %s, not %s", image.HashAlgo, h.Algo)
	default:
		raw, err := hex.DecodeString(h.Value)
		if err != nil {
			return fault.Invalidf("os_hash_value (%s) is not a valid hexadecimal value", h.Value)
		}
		if len(raw) != size {
			return fault.Invalidf("os_hash_value: (%s) is not the correct size for (%s) (should be (%d) bytes)", h.Value, h.Algo, size)
		}
		return nil
	}
}

// remote tells whether the address is one of the web.
func (l location) remote() bool {
	return strings.HasPrefix(l.URL, "http://") || strings.HasPrefix(l.URL, "https://")
}

// acceptable tells whether bytes of this image can be brought from there.
func (l location) acceptable(i *image.Image) error {
	if i.Disk == "" || i.Container == "" {
		return fault.Invalidf("Properties disk_format, container_format must be set prior to saving data.")
	}
	return egress.Check(l.URL)
}
