package staticweb

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mekcloud/mek/internal/objectstore/swift"
)

// entry is a line of a listing, as the container shows it.
type entry struct {
	Subdir   string `json:"subdir"`
	Name     string `json:"name"`
	Bytes    int64  `json:"bytes"`
	Type     string `json:"content_type"`
	Modified string `json:"last_modified"`
}

// entries lists a folder as the visitor may; refused is the answer where he may not.
func (v *visitor) entries(prefix string, limit int) ([]entry, *swift.Reply, error) {
	sub := v.request.Sub(http.MethodGet, swift.Target{Account: v.request.Account, Container: v.request.Container})
	sub.Query.Set("format", "json")
	sub.Query.Set("delimiter", "/")
	sub.Query.Set("prefix", prefix)
	if limit > 0 {
		sub.Query.Set("limit", strconv.Itoa(limit))
	}
	reply, err := v.next(sub)
	if err != nil {
		return nil, nil, err
	}
	content, ok := reply.Body.([]byte)
	if !swift.OK(reply) || !ok {
		return nil, &reply, nil
	}
	var list []entry
	if err := json.Unmarshal(content, &list); err != nil {
		return nil, nil, fmt.Errorf("listing of a site: %w", err)
	}
	return list, nil, nil
}

// listing is a folder as a page.
func (v *visitor) listing(prefix string) (swift.Reply, error) {
	if !v.listings {
		return v.failed(swift.Fail(http.StatusNotFound).Reply(v.request))
	}
	list, refused, err := v.entries(prefix, 0)
	switch {
	case err != nil:
		return swift.Reply{}, err
	case refused != nil:
		return v.failed(*refused)
	case len(list) == 0 && prefix != "":
		return v.failed(swift.Fail(http.StatusNotFound).Reply(v.request))
	}
	if v.request.Signed != nil {
		v.request.Signed.Page = true
	}
	return swift.Reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}}, Body: []byte(v.html(prefix, list))}, nil
}

const (
	documentType = "<!DOCTYPE html>"
	ownStyle     = "h1 {font-size: 1em; font-weight: bold;} th {text-align: left; padding: 0 1em;} td {padding: 0 1em;} " +
		"a {text-decoration: none;} th.colsize, td.colsize {text-align: right;}"
)

// html writes the page; identifiers and classes are those that style sheets of
// sites know from upstream.
func (v *visitor) html(prefix string, list []entry) string {
	label := v.label
	if label == "" {
		label = "/v1/" + v.request.Account + "/" + v.request.Container + "/"
	} else if !strings.HasSuffix(label, "/") {
		label += "/"
	}
	title := "Listing of " + html.EscapeString(label+prefix)
	var b strings.Builder
	b.WriteString(documentType + "\n<html>\n <head>\n  <title>" + title + "</title>\n")
	if v.css != "" {
		b.WriteString(`  <link rel="stylesheet" type="text/css" href="` + html.EscapeString(v.cssPath(prefix)) + `" />` + "\n")
	} else {
		b.WriteString("  <style type=\"text/css\">\n   " + ownStyle + "\n  </style>\n")
	}
	b.WriteString(" </head>\n <body>\n  <h1 id=\"title\">" + title + "</h1>\n  <table id=\"listing\">\n" +
		"   <tr id=\"heading\">\n    <th class=\"colname\">Name</th>\n    <th class=\"colsize\">Size</th>\n    <th class=\"coldate\">Date</th>\n   </tr>\n")
	query, opened := "", ""
	if s := v.request.Signed; s != nil {
		opened = s.Prefix
		if s.Query != "" {
			query = "?" + s.Query
		}
	}
	if parent := prefix[:strings.LastIndexByte(strings.TrimSuffix(prefix, "/"), '/')+1]; prefix != "" && strings.HasPrefix(parent, opened) {
		line(&b, `id="parent" class="item"`, "../"+query, "../", blank, blank)
	}
	for _, folders := range []bool{true, false} { // folders first
		for _, e := range list {
			if (e.Subdir != "") == folders {
				e.row(&b, prefix, query)
			}
		}
	}
	b.WriteString("  </table>\n </body>\n</html>\n")
	return b.String()
}

const blank = "&nbsp;"

func (e entry) row(b *strings.Builder, prefix, query string) {
	name, class, size, date := e.Name, "item", humanSize(e.Bytes), humanDate(e.Modified)
	if e.Subdir != "" {
		name, class, size, date = e.Subdir, "item subdir", blank, blank
	} else {
		kind, _, _ := strings.Cut(e.Type, ";")
		for part := range strings.SplitSeq(kind, "/") {
			class += " type-" + strings.ToLower(part)
		}
	}
	name = strings.TrimPrefix(name, prefix)
	if name == "" {
		return // the object that marks this folder
	}
	// The dot keeps names from being schemes and hosts, its escape from being steps upwards.
	link := "./" + strings.ReplaceAll(swift.Quote(name), ".", "%2E") + query
	line(b, `class="`+html.EscapeString(class)+`"`, link, name, size, date)
}

// line writes a row; size and date are HTML already.
func line(b *strings.Builder, attributes, link, name, size, date string) {
	fmt.Fprintf(b, "   <tr %s>\n    <td class=\"colname\"><a href=\"%s\">%s</a></td>\n    <td class=\"colsize\">%s</td>\n    <td class=\"coldate\">%s</td>\n   </tr>\n",
		attributes, html.EscapeString(link), html.EscapeString(name), size, date)
}

// cssPath is the address of the style sheet, seen from a folder.
func (v *visitor) cssPath(prefix string) string {
	for _, absolute := range []string{"/", "http://", "https://"} {
		if strings.HasPrefix(v.css, absolute) {
			return strings.ReplaceAll(swift.Quote(v.css), "%3A", ":")
		}
	}
	return strings.Repeat("../", strings.Count(prefix, "/")) + swift.Quote(v.css)
}

// humanSize rounds as upstream's pages do: "12Ki".
func humanSize(n int64) string {
	value, units := float64(n), []string{"", "Ki", "Mi", "Gi", "Ti", "Pi"}
	i := 0
	for ; value >= 1024 && i < len(units)-1; i++ {
		value /= 1024
	}
	return strconv.FormatFloat(value, 'f', 0, 64) + units[i]
}

func humanDate(text string) string {
	t, err := time.Parse("2006-01-02T15:04:05.999999", text)
	if err != nil {
		return html.EscapeString(text)
	}
	return t.Format("2006-01-02 15:04:05")
}
