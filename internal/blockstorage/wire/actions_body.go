package wire

import (
	"encoding/json"

	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/rest"
)

// DecodeLoose reads the named members below an envelope and leaves others
// alone, where upstream's schema lets them pass.
func DecodeLoose(c *rest.Call, envelope string, members []string, into any) error {
	var outer map[string]json.RawMessage
	if err := json.Unmarshal(c.Payload(), &outer); err != nil {
		return fault.Invalidf("Malformed request body")
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(outer[envelope], &all); err != nil || all == nil {
		return fault.Invalidf("Invalid input for field/attribute %s. '%s' is a required property", envelope, envelope)
	}
	known := map[string]json.RawMessage{}
	for _, name := range members {
		if v, ok := all[name]; ok {
			known[name] = v
		}
	}
	raw, err := json.Marshal(known)
	if err != nil {
		return fault.Invalidf("Malformed request body").Because(err)
	}
	return rest.DecodeValue(raw, into)
}

// TextsOrNulls reads an object whose members are texts or null.
func TextsOrNulls(field string, in map[string]any) (map[string]*string, error) {
	out := map[string]*string{}
	for k, v := range in {
		text, ok := v.(string)
		switch {
		case ok:
			out[k] = &text
		case v == nil:
			out[k] = nil
		default:
			return nil, fault.Invalidf("Invalid input for field/attribute %s. Value of %s is not of type 'string', 'null'", field, k)
		}
	}
	return out, nil
}
