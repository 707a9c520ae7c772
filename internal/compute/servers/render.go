package servers

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mekcloud/mek/internal/compute"
	"github.com/mekcloud/mek/internal/compute/guest"
)

func instanceName(serial int64) string { return fmt.Sprintf("instance-%08x", serial) }

// stopSeconds is how long a guest may take to obey the power button.
const stopSeconds = 60

// specOf renders what a host should have of a server: a pure function of its rows.
func specOf(s *Server, disks []*Disk, nics []*NIC) guest.Spec {
	spec := guest.Spec{ID: s.ID, Name: instanceName(s.Serial), ProjectID: s.ProjectID, Power: s.Desired, PowerSerial: s.PowerSerial,
		BuildSerial: s.BuildSerial, KeepBlank: s.KeepBlank, StopSeconds: stopSeconds, Ask: s.Leave != leaveUnasked, CPUs: s.Flavor.VCPUs, MemoryMiB: s.Flavor.MemoryMiB, Machine: machineOf(s.Flavor),
		ConfigDrive: s.ConfigDrive, Console: guest.Console{VNC: true}, Limits: limitsOf(s.Flavor), Disks: []guest.Disk{}, NICs: []guest.NIC{}}
	spec.Disks, spec.Rescue = diskSpecs(disks)
	for _, n := range nics {
		if n.Defined {
			spec.NICs = append(spec.NICs, guest.NIC{PortID: n.PortID, MAC: n.Facts.MAC, MTU: n.Facts.MTU})
		}
	}
	spec.Metadata = metadataOf(s, disks, nics)
	return spec
}

// diskSpecs are the disks in device order. A rescue disk comes first and takes
// the root's place, or, where places are to be stable, last, and is booted all
// the same.
func diskSpecs(disks []*Disk) (out []guest.Disk, renumber bool) {
	out = []guest.Disk{}
	var rescue *Disk
	for _, d := range disks {
		if d.Defined && d.Rescue != "" {
			rescue = d
		} else if d.Defined {
			out = append(out, diskSpec(d))
		}
	}
	if rescue == nil {
		return out, false
	}
	for i := range out {
		if out[i].BootIndex > 0 {
			out[i].BootIndex++
		}
	}
	if rescue.Rescue == rescueStable {
		return append(out, diskSpec(rescue)), false
	}
	return append([]guest.Disk{diskSpec(rescue)}, out...), true
}

func diskSpec(d *Disk) guest.Disk {
	out := guest.Disk{ID: d.GuestID, Kind: d.Kind, Bus: d.Bus, ImageID: d.ImageID, ImageFormat: d.ImageFormat, VolumeID: d.VolumeID,
		BootIndex: d.BootIndex, DeviceName: d.DeviceName, SizeBytes: int64(d.SizeGiB) << 30, Layers: d.Layers, From: d.From, Shared: d.Shared}
	switch {
	case d.Kind == guest.DiskVolume:
		out.Serial, out.ImageID = d.VolumeID, ""
	case d.SwapMiB > 0:
		out.SizeBytes, out.Fill = int64(d.SwapMiB)<<20, "swap"
	}
	return out
}

// machineOf reads what a flavor's extra specs say of the machine.
func machineOf(f compute.Flavor) guest.Machine {
	number := func(key string) int {
		n, err := strconv.Atoi(f.ExtraSpecs[key])
		if err != nil || n < 0 {
			return 0 // not set, or not a number: the host's default
		}
		return n
	}
	m := guest.Machine{Sockets: number("hw:cpu_sockets"), Cores: number("hw:cpu_cores"), Threads: number("hw:cpu_threads")}
	if f.ExtraSpecs["hw:firmware_type"] == "uefi" {
		m.Firmware = "uefi"
	}
	if v := strings.ToLower(f.ExtraSpecs["hw_rng:allowed"]); v == "false" {
		m.NoRNG = true
	}
	return m
}

// limitsOf reads the caps in a flavor's extra specs, in Nova's names.
func limitsOf(f compute.Flavor) guest.Limits {
	number := func(key string) int64 {
		n, err := strconv.ParseInt(f.ExtraSpecs["quota:"+key], 10, 64)
		if err != nil || n < 0 {
			return 0 // not set, or not a number: the host's default
		}
		return n
	}
	kib := func(key string) int64 { return min(number(key), math.MaxInt64>>10) << 10 } // libvirt's kilobytes
	return guest.Limits{CPUShares: int(number("cpu_shares")), CPUQuotaUS: int(number("cpu_quota")), CPUPeriodUS: int(number("cpu_period")),
		DiskReadBytesSecond: number("disk_read_bytes_sec"), DiskWriteBytesSecond: number("disk_write_bytes_sec"),
		DiskTotalBytesSecond: number("disk_total_bytes_sec"), DiskReadIOPS: number("disk_read_iops_sec"),
		DiskWriteIOPS: number("disk_write_iops_sec"), DiskTotalIOPS: number("disk_total_iops_sec"),
		PortInBytesSecond: kib("vif_inbound_average"), PortInPeakBytesSecond: kib("vif_inbound_peak"), PortInBurstBytes: kib("vif_inbound_burst"),
		PortOutBytesSecond: kib("vif_outbound_average"), PortOutBurstBytes: kib("vif_outbound_burst")}
}

// metadataOf renders the documents that the guest can ask for.
func metadataOf(s *Server, disks []*Disk, nics []*NIC) guest.Metadata {
	m := guest.Metadata{MetaData: mustJSON(metaData(s, disks, nics)), NetworkData: mustJSON(networkData(nics)), VendorData: json.RawMessage(`{}`),
		VendorData2: json.RawMessage(`{"static":{}}`), EC2: mustJSON(ec2Tree(s, nics)), Files: s.Files, Password: s.Password}
	if data, err := base64.StdEncoding.DecodeString(s.UserData); err == nil && len(data) > 0 { // checked when it was given
		m.UserData = data
	}
	return m
}

// guestHostname is what a guest is told to be called: a name that is qualified
// already is left as the user wrote it.
func guestHostname(s *Server) string {
	if strings.Contains(s.Hostname, ".") {
		return s.Hostname
	}
	return s.Hostname + ".novalocal"
}

func metaData(s *Server, disks []*Disk, nics []*NIC) map[string]any {
	out := map[string]any{"uuid": s.ID, "name": s.Name, "hostname": guestHostname(s), "availability_zone": s.Zone, "project_id": s.ProjectID,
		"launch_index": s.LaunchIndex, "devices": taggedDevices(disks, nics), "dedicated_cpus": []int{}}
	if len(s.Metadata) > 0 {
		out["meta"] = s.Metadata
	}
	if s.KeyName != "" {
		out["public_keys"] = map[string]string{s.KeyName: s.PublicKey}
		out["keys"] = []map[string]string{{"name": s.KeyName, "type": string(s.KeyType), "data": s.PublicKey}}
	}
	if len(s.Files) > 0 {
		files := []map[string]string{}
		for i, f := range s.Files {
			files = append(files, map[string]string{"path": f.Path, "content_path": fmt.Sprintf("/content/%04d", i)})
		}
		out["files"] = files
	}
	return out
}

// taggedDevices tells guests which device is which, by the tags users gave.
func taggedDevices(disks []*Disk, nics []*NIC) []map[string]any {
	out := []map[string]any{}
	for _, n := range nics {
		if n.Defined && n.Plan.Tag != "" {
			out = append(out, map[string]any{"type": "nic", "bus": "none", "address": "none", "mac": n.Facts.MAC, "tags": []string{n.Plan.Tag}})
		}
	}
	for _, d := range disks {
		if d.Defined && d.Tag != "" {
			out = append(out, map[string]any{"type": "disk", "bus": "virtio", "address": "none", "serial": d.VolumeID, "path": d.DeviceName, "tags": []string{d.Tag}})
		}
	}
	return out
}

func networkData(nics []*NIC) map[string]any {
	links, networks, services := []map[string]any{}, []map[string]any{}, []map[string]any{}
	seen := map[string]bool{}
	for _, n := range nics {
		if !n.Defined {
			continue
		}
		link := "tap" + n.PortID[:11]
		links = append(links, map[string]any{"id": link, "vif_id": n.PortID, "type": "ovs", "mtu": n.Facts.MTU, "ethernet_mac_address": n.Facts.MAC})
		for _, subnet := range n.Facts.Subnets {
			entry := map[string]any{"id": fmt.Sprintf("network%d", len(networks)), "link": link, "network_id": n.Facts.NetworkID, "type": fmt.Sprintf("ipv%d", subnet.Version)}
			if subnet.DHCP {
				entry["type"] = fmt.Sprintf("ipv%d_dhcp", subnet.Version)
			} else {
				static(entry, n, subnet.ID, subnet.CIDR, subnet.Gateway, subnet.Routes)
			}
			networks = append(networks, entry)
			for _, address := range subnet.DNS {
				if !seen[address] {
					seen[address] = true
					services = append(services, map[string]any{"type": "dns", "address": address})
				}
			}
		}
	}
	return map[string]any{"links": links, "networks": networks, "services": services}
}

// static adds the addresses of a network that has no DHCP.
func static(entry map[string]any, n *NIC, subnetID, cidr, gateway string, hostRoutes [][2]string) {
	for _, a := range n.Facts.Addresses {
		if a.SubnetID == subnetID && !a.Floating {
			entry["ip_address"] = a.Address
		}
	}
	if p, err := netip.ParsePrefix(cidr); err == nil {
		entry["netmask"] = maskOf(p)
	}
	routes := []map[string]string{}
	add := func(destination, via string) {
		if p, err := netip.ParsePrefix(destination); err == nil {
			routes = append(routes, map[string]string{"network": p.Masked().Addr().String(), "netmask": maskOf(p), "gateway": via})
		}
	}
	if a, err := netip.ParseAddr(gateway); err == nil {
		if a.Is4() {
			add("0.0.0.0/0", gateway)
		} else {
			add("::/0", gateway)
		}
	}
	for _, r := range hostRoutes {
		add(r[0], r[1])
	}
	entry["routes"] = routes
}

func maskOf(p netip.Prefix) string {
	bytes := make([]byte, p.Addr().BitLen()/8)
	for i := range p.Bits() {
		bytes[i/8] |= 0x80 >> (i % 8)
	}
	a, ok := netip.AddrFromSlice(bytes)
	if !ok {
		return ""
	}
	return a.String()
}

// ec2Tree is the tree below latest/meta-data.
func ec2Tree(s *Server, nics []*NIC) map[string]any {
	private, public, groups := firstAddress(nics, false), firstAddress(nics, true), ""
	for _, n := range nics {
		if n.Defined && groups == "" {
			groups = strings.Join(n.Facts.Groups, "\n")
		}
	}
	out := map[string]any{"ami-id": ec2ID("ami", s.Serial), "ami-launch-index": s.LaunchIndex, "ami-manifest-path": "",
		"block-device-mapping": map[string]any{"ami": "vda", "root": s.RootDevice}, "hostname": guestHostname(s), "instance-action": "none",
		"instance-id": ec2ID("i", s.Serial), "instance-type": s.Flavor.Name, "local-hostname": guestHostname(s), "local-ipv4": private,
		"placement": map[string]any{"availability-zone": s.Zone}, "public-hostname": guestHostname(s), "public-ipv4": public,
		"reservation-id": s.ReservationID, "security-groups": groups}
	if s.KeyName != "" {
		out["public-keys"] = map[string]any{"0": map[string]any{"_name": "0=" + s.KeyName, "openssh-key": s.PublicKey}}
	}
	return out
}

func firstAddress(nics []*NIC, floating bool) string {
	for _, n := range nics {
		for _, a := range n.Facts.Addresses {
			if n.Defined && a.Floating == floating && a.Version == 4 {
				return a.Address
			}
		}
	}
	return ""
}

func ec2ID(kind string, serial int64) string { return fmt.Sprintf("%s-%08x", kind, serial) }
