package objectstoreapi

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the algorithm of Swift's signature
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"

	"github.com/mekcloud/mek/internal/clock"
	"github.com/mekcloud/mek/internal/objectstore/largeobjects"
	"github.com/mekcloud/mek/internal/objectstore/swift"
	"github.com/mekcloud/mek/internal/objectstore/symlinks"
	"github.com/mekcloud/mek/internal/rest"
)

// release is the release of Swift whose API this is.
const release = "2.36.0"

// info answers /info.
type info struct {
	clock    clock.Clock
	adminKey string
	sections map[string]map[string]any
}

func newInfo(d Deps) *info {
	sections := map[string]map[string]any{
		"swift": {
			"version": release, "strict_cors_mode": true, "allow_account_management": true, "account_autocreate": true, "allow_open_expired": false,
			"max_file_size": swift.MaxFileSize, "max_meta_name_length": swift.MaxMetaNameLength, "max_meta_value_length": swift.MaxMetaValueLength,
			"max_meta_count": swift.MaxMetaCount, "max_meta_overall_size": swift.MaxMetaOverallSize, "max_header_size": swift.MaxHeaderSize,
			"max_request_line": 8192, "max_object_name_length": swift.MaxObjectNameLength, "max_container_name_length": swift.MaxContainerNameLength,
			"max_account_name_length": swift.MaxAccountNameLength, "container_listing_limit": swift.ListingLimit, "account_listing_limit": swift.ListingLimit,
			"extra_header_count": 0, "valid_api_versions": []string{"v1", "v1.0"}, "auto_create_account_prefix": ".",
			"policies": []map[string]any{{"name": swift.PolicyName, "aliases": swift.PolicyName, "default": true}},
		},
	}
	maps.Copy(sections, largeobjects.Info())
	maps.Copy(sections, symlinks.Info())
	sections["object_versioning"] = map[string]any{}
	for _, e := range append(d.Front, d.Middle...) {
		maps.Copy(sections, e.Info)
	}
	return &info{clock: d.Clock, adminKey: d.AdminKey, sections: sections}
}

func (i *info) show(c *rest.Call) (rest.Reply, error) {
	r := &swift.Request{Call: c}
	sections := map[string]any{}
	for name, section := range i.sections {
		sections[name] = section
	}
	query := c.Values()
	if signature, expires := query.Get("swiftinfo_sig"), query.Get("swiftinfo_expires"); signature != "" || expires != "" {
		if i.adminKey == "" {
			return swift.Fail(http.StatusForbidden).Reply(r), nil
		}
		if !i.signed(c.Method, signature, expires) {
			return swift.Fail(http.StatusUnauthorized).Reply(r), nil
		}
		sections["admin"] = map[string]any{"disallowed_sections": []string{}}
	}
	content, err := json.Marshal(sections)
	if err != nil {
		return rest.Reply{}, err
	}
	header := http.Header{"Content-Type": {"application/json; charset=UTF-8"}}
	if origin := c.Header.Get("Origin"); origin != "" {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Expose-Headers", "x-trans-id")
	}
	return rest.Reply{Status: http.StatusOK, Body: content, Header: header}, nil
}

func (i *info) options(*rest.Call) (rest.Reply, error) {
	return rest.Reply{Status: http.StatusOK, Header: http.Header{"Allow": {"HEAD, GET, OPTIONS"}}}, nil
}

// signed checks a signature; one for GET is good for HEAD as well.
func (i *info) signed(method, signature, expires string) bool {
	until, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || until < i.clock.Now().Unix() {
		return false
	}
	good := false
	for _, m := range []string{method, http.MethodGet} {
		mac := hmac.New(sha1.New, []byte(i.adminKey))
		mac.Write([]byte(m + "\n" + strconv.FormatInt(until, 10) + "\n/info"))
		good = hmac.Equal([]byte(hex.EncodeToString(mac.Sum(nil))), []byte(signature)) || good
	}
	return good
}
