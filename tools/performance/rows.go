package main

// row is a thing that Mek promises.
type row struct {
	what    string
	name    string  // of its line, measured by one client over plain HTTP
	peer    float64 // at least so many times as good as the peer; 0: nothing is asked
	peerCPU float64 // at most so much of the peer's processor time; 0: nothing is asked
	limit   limit
	bound   float64 // of the value itself, when it is not beside a limit
	atLeast bool    // bound is the least, not the most
	unit    string
}

// limit is what the machine does at best: the sum of lines, or the least of them.
type limit struct {
	names []string
	least bool    // the least of the lines counts, not their sum
	most  float64 // value / limit is at most so much; 0: nothing is asked
	share float64 // value / limit is at least so much (for rates; for times limit / value)
}

// rows are the promises, in the order of the page.
func rows() []row {
	// At the pace of what is beside them: ADR 11.
	asked := limit{names: []string{"limit/commit-asked"}, most: 3}
	paced := limit{names: []string{"limit/commit-paced"}, most: 3}
	return []row{
		{what: "token validate", name: "token-validate", peer: 100, limit: limit{names: []string{"limit/bare-http"}}, unit: "ms"},
		{what: "token validate, in process", name: "go/Authenticate ns/op", bound: 5000, unit: "ns/op"},
		{what: "token issue by password", name: "token-issue", peer: 8, limit: limit{names: []string{"limit/password-commit"}, most: 1.05}, unit: "ms"},
		{what: "list of 1,000 servers, detailed", name: "server-list-1000", peer: 50, limit: limit{names: []string{"limit/list-1000"}, most: 4}, unit: "ms"},
		{what: "list of 100 servers, detailed", name: "server-list", unit: "ms"},
		{what: "server create, accepted", name: "server-create/accepted", peer: 100, limit: paced, unit: "ms"},
		{what: "server create, ACTIVE (simulated hosts, fake driver)", name: "server-create/active", peer: 20, unit: "ms"},
		{what: "network create", name: "network-create", peer: 50, limit: asked, unit: "ms"},
		{what: "subnet create", name: "subnet-create", peer: 50, limit: asked, unit: "ms"},
		{what: "port create", name: "port-create", peer: 50, limit: asked, unit: "ms"},
		{what: "security group create", name: "security-group-create", peer: 50, limit: asked, unit: "ms"},
		{what: "volume create, accepted", name: "volume-create/accepted", peer: 50, limit: paced, unit: "ms"},
		{what: "allocation candidates, 1,000 hosts", name: "candidates-1000", peer: 50, limit: limit{names: []string{"limit/candidates-1000"}, most: 3}, unit: "ms"},
		{what: "allocation candidates, 10,000 hosts (answer of 1,000)", name: "candidates-10000", peer: 50, limit: limit{names: []string{"limit/candidates-1000"}, most: 3}, unit: "ms"},
		{what: "the decision over 10,000 hosts, in process", name: "go/Candidates ns/op", bound: 1e6, unit: "ns/op"},
		{what: "image upload", name: "image-upload/rate", peer: 2, limit: limit{names: []string{"limit/disk-write", "limit/md5-sha512"}, least: true, share: 0.9}, unit: "MiB/s"},
		{what: "image download", name: "image-download/rate", peerCPU: 1, limit: limit{names: []string{"limit/loopback"}, share: 0.95}, unit: "MiB/s"},
		{what: "object GET, 4 KiB", name: "object-get-4k", peer: 10, limit: limit{names: []string{"limit/nginx-4k"}, share: 0.7}, unit: "ms"},
		{what: "object GET, 64 MiB", name: "object-get-64m/rate", peer: 3, limit: limit{names: []string{"limit/sendfile"}, share: 0.95}, unit: "MiB/s"},
		{what: "guest: POST to user space, later than the same QEMU by hand, p50 of interleaved pairs", name: "data-plane/guest-late", bound: 50, unit: "ms"},
		{what: "20 guests at once: POST until all are in user space, rate of a shell loop", name: "data-plane/guests-of-loop", bound: 0.9, atLeast: true, unit: "×"},
		{what: "ports bound and wired on the real data plane", name: "data-plane/ports", bound: 100, atLeast: true, unit: "ports/s"},
		{what: "idle memory (PSS) of server and agent", name: "idle-memory", peer: 30, unit: "MiB"},
		{what: "first start to ready, no packages to install", name: "first-start", peer: 10, unit: "s"},
		{what: "simulated hosts", name: "scale/hosts", bound: 10_000, atLeast: true, unit: "hosts"},
		{what: "servers on them", name: "scale/servers", bound: 1_000_000, atLeast: true, unit: "servers"},
		{what: "at that size: servers ACTIVE per second, nobody else asks", name: "scale/creates", bound: 1000, atLeast: true, unit: "servers/s"},
		{what: "p99 of a show while 200 creates, 200 shows and 40 list pages are asked for each second", name: "scale/show-p99", bound: 50, unit: "ms"},
		{what: "p99 of a list page while 200 creates, 200 shows and 40 list pages are asked for each second", name: "scale/list-p99", bound: 50, unit: "ms"},
		{what: "p99 of a create while 200 creates, 200 shows and 40 list pages are asked for each second", name: "scale/create-p99", bound: 50, unit: "ms"},
		{what: "memory of server, hosts and load together", name: "scale/memory", bound: 4096, unit: "MiB"},
		{what: "all hosts again after a restart of the server", name: "scale/reconnect", bound: 60, unit: "s"},
	}
}
