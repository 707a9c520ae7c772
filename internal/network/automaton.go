package network

import "github.com/mekcloud/mek/internal/automaton"

// PortLife is the life of a port: whatever its host reports, it shows. A port
// that holds a floating address is bound to nothing, ever.
func PortLife() automaton.Automaton {
	return automaton.Of("port", "network_ports", "status", map[PortStatus][]PortStatus{
		automaton.Gone: {PortDown, PortActive, PortNone},
		PortDown:       {PortActive, PortError, automaton.Gone},
		PortActive:     {PortDown, PortError, automaton.Gone},
		PortError:      {PortActive, PortDown, automaton.Gone},
		PortNone:       {automaton.Gone},
	})
}

// FloatingLife is the life of a floating address.
func FloatingLife() automaton.Automaton {
	return automaton.Of("floating IP", "network_floatings", "status", map[string][]string{
		automaton.Gone: {StatusDown, StatusActive},
		StatusDown:     {StatusActive, automaton.Gone},
		StatusActive:   {StatusDown, automaton.Gone},
	})
}
