package configdrive

import (
	"fmt"

	"github.com/mekcloud/mek/internal/compute/guest"
)

// Latest is the name of the folder that always has the newest documents.
const Latest = "latest"

// Versions are the metadata versions there are, oldest first, without Latest.
func Versions() []string {
	return []string{"2012-08-10", "2013-04-04", havana, liberty, "2016-06-30", newtonTwo, "2017-02-22", "2018-08-27", "2020-10-14"}
}

// The versions that brought a document.
const (
	havana    = "2013-10-17" // vendor_data.json
	liberty   = "2015-10-15" // network_data.json
	newtonTwo = "2016-10-06" // vendor_data2.json
)

// ec2Versions are those that upstream puts on a drive by default.
var ec2Versions = [...]string{"2009-04-04", Latest}

// Tree is all files of a guest's metadata, by their place. It is pure; the data
// is shared with m.
func Tree(m guest.Metadata) []guest.File {
	var files []guest.File
	add := func(data []byte, format string, args ...any) {
		if data != nil {
			files = append(files, guest.File{Path: fmt.Sprintf(format, args...), Data: data})
		}
	}
	for _, v := range append(Versions(), Latest) {
		add(m.MetaData, "openstack/%s/meta_data.json", v)
		add(m.UserData, "openstack/%s/user_data", v)
		if v >= havana {
			add(m.VendorData, "openstack/%s/vendor_data.json", v)
		}
		if v >= liberty {
			add(m.NetworkData, "openstack/%s/network_data.json", v)
		}
		if v >= newtonTwo {
			add(m.VendorData2, "openstack/%s/vendor_data2.json", v)
		}
	}
	for i, f := range m.Files {
		add(f.Data, "openstack/content/%04d", i)
	}
	for _, v := range ec2Versions {
		add(m.EC2, "ec2/%s/meta-data.json", v)
		add(m.UserData, "ec2/%s/user-data", v)
	}
	return files
}
