package formpolicy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/objectstore/s3/failure"
)

// Policy is what the signer of a form allows.
type Policy struct {
	conditions  []condition
	Least, Most int64 // bytes of the file; Most < 0: no limit
}

type condition struct{ operator, field, value string }

// maxConditions bounds a policy; Amazon's own are short.
const maxConditions = 100

func badPolicy(text string) error {
	return failure.Newf(failure.InvalidPolicyDocument, "Invalid Policy: %s", text)
}

func policyRefuses(text string) error {
	return failure.Newf(failure.AccessDenied, "Invalid according to Policy: %s", text)
}

// Read reads a policy, in base64, that was signed.
func Read(text string, now time.Time) (*Policy, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 {
		return nil, badPolicy("Invalid Base64.")
	}
	var sent struct {
		Expiration string            `json:"expiration"`
		Conditions []json.RawMessage `json:"conditions"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&sent); err != nil || sent.Conditions == nil || len(sent.Conditions) > maxConditions {
		return nil, badPolicy("Invalid JSON.")
	}
	end, err := time.Parse(time.RFC3339, sent.Expiration)
	if err != nil {
		return nil, badPolicy("Invalid 'expiration' value: '" + sent.Expiration + "'")
	}
	if now.After(end) {
		return nil, policyRefuses("Policy expired.")
	}
	p := &Policy{Most: -1}
	for _, c := range sent.Conditions {
		if err := p.add(c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// add reads {"field": "value"}, ["eq" or "starts-with", "$field", "value"] or
// ["content-length-range", least, most].
func (p *Policy) add(raw json.RawMessage) error {
	var exact map[string]string
	if json.Unmarshal(raw, &exact) == nil && exact != nil {
		for field, value := range exact {
			p.conditions = append(p.conditions, condition{"eq", strings.ToLower(field), value})
		}
		return nil
	}
	var list []any
	if json.Unmarshal(raw, &list) != nil || len(list) != 3 {
		return badPolicy("Invalid condition.")
	}
	operator, ok := list[0].(string)
	operator = strings.ToLower(operator)
	if ok && operator == "content-length-range" {
		least, ok1 := whole(list[1])
		most, ok2 := whole(list[2])
		if !ok1 || !ok2 {
			return badPolicy("Invalid content-length-range.")
		}
		p.Least, p.Most = least, most
		return nil
	}
	field, ok1 := list[1].(string)
	value, ok2 := list[2].(string)
	if !ok || !ok1 || !ok2 || operator != "eq" && operator != "starts-with" || !strings.HasPrefix(field, "$") {
		return badPolicy("Invalid condition.")
	}
	p.conditions = append(p.conditions, condition{operator, strings.ToLower(field[1:]), value})
	return nil
}

// whole reads a count that is a number or its text.
func whole(v any) (int64, bool) {
	switch n := v.(type) {
	case float64:
		return int64(n), n >= 0 && n <= 1<<53
	case string:
		i, err := strconv.ParseInt(n, 10, 64)
		return i, err == nil && i >= 0
	}
	return 0, false
}

// free are fields that no condition must name.
var free = []string{"policy", "signature", "x-amz-signature", "awsaccesskeyid", "file"}

// Check holds a form against its policy: all conditions are fulfilled, and each
// field is named by one. names are the form's fields, in lower case; get gives
// their values.
func (p *Policy) Check(bucket string, names []string, get func(string) string) error {
	named := map[string]bool{}
	for _, c := range p.conditions {
		named[c.field] = true
		value := get(c.field)
		if c.field == "bucket" {
			value = bucket
		}
		if c.operator == "eq" && value != c.value || c.operator == "starts-with" && !strings.HasPrefix(value, c.value) {
			return policyRefuses("Policy Condition failed: [\"" + c.operator + "\", \"$" + c.field + "\", \"" + c.value + "\"]")
		}
	}
	if !named["bucket"] {
		return policyRefuses("Extra input fields: bucket")
	}
	for _, name := range names {
		if !named[name] && !slices.Contains(free, name) && !strings.HasPrefix(name, "x-ignore-") {
			return policyRefuses("Extra input fields: " + name)
		}
	}
	return nil
}
