package network

// QoSPolicy is rules about how fast a port may send and receive, and how its
// packets are marked.
type QoSPolicy struct {
	Standard
	IsDefault  bool // of networks that the project makes and names no other
	SharedWith Audience
	Rules      []QoSRule
}

// QoSRule is one rule of a policy. A policy has at most one of each kind and direction.
type QoSRule struct {
	Standard  // its project is the policy's
	PolicyID  string
	Kind      string // BandwidthLimit or DSCPMarking
	Direction string // Egress or Ingress, as the port sees it
	Rate      int    // kbit/s, or the mark
	Burst     int    // kbit; 0: chosen by the engine
}

// The kinds of rules that the engine enforces, in the words of the API's paths.
// Guarantees (minimum bandwidth) and limits of packet rates are not among
// them: OVN has nothing that keeps them on an overlay.
const (
	BandwidthLimit = "bandwidth_limit"
	DSCPMarking    = "dscp_marking"
)
