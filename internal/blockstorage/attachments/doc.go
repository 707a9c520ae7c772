// Package attachments keeps which volume is tied to which server, and serves
// the attachments API. Compute attaches volumes by blockstorage.Service;
// this API is for looking at attachments, reserving volumes, and services.
// Connecting a host that is not of this cloud is not offered: volumes are
// files of hosts, not exports.
package attachments
