package compute

import "github.com/mekcloud/mek/internal/automaton"

// ServerLife is the life of a server by its vm state. A rebuild, a reboot, a
// rescue and an evacuation take it out of ERROR; nothing leads back to building.
func ServerLife() automaton.Automaton {
	return automaton.Of("server", "compute_servers", "vm_state", map[VMState][]VMState{
		automaton.Gone:   {Building},
		Building:         {Active, VMStopped, VMError, SoftDeleted, automaton.Gone},
		Active:           {VMPaused, VMSuspended, VMStopped, Rescued, Resized, Shelved, ShelvedOffloaded, SoftDeleted, VMError, automaton.Gone},
		VMPaused:         {Active, VMStopped, VMSuspended, Shelved, ShelvedOffloaded, SoftDeleted, VMError, automaton.Gone},
		VMSuspended:      {Active, VMStopped, VMPaused, Shelved, ShelvedOffloaded, SoftDeleted, VMError, automaton.Gone},
		VMStopped:        {Active, VMPaused, Rescued, Resized, Shelved, ShelvedOffloaded, SoftDeleted, VMError, automaton.Gone},
		Rescued:          {Active, VMStopped, SoftDeleted, VMError, automaton.Gone},
		Resized:          {Active, VMStopped, SoftDeleted, VMError, automaton.Gone},
		Shelved:          {Active, VMStopped, VMPaused, VMSuspended, ShelvedOffloaded, SoftDeleted, VMError, automaton.Gone},
		ShelvedOffloaded: {Active, VMStopped, SoftDeleted, VMError, automaton.Gone},
		SoftDeleted:      {Active, VMStopped, VMError, automaton.Gone},
		VMError:          {Active, VMStopped, Rescued, Resized, SoftDeleted, automaton.Gone},
	}, string(Active), string(VMError))
}

// MigrationLife is the life of a move, of whatever kind.
func MigrationLife() automaton.Automaton {
	return automaton.Of("migration", "compute_migrations", "status", map[MigrationStatus][]MigrationStatus{
		automaton.Gone:     {MigrationAccepted, MigrationPreparing},
		MigrationAccepted:  {MigrationPreparing, "queued", "preparing", MigrationRunning, MigrationDone, MigrationFailed, "cancelled", automaton.Gone},
		"queued":           {"preparing", MigrationRunning, MigrationFailed, "cancelled", automaton.Gone},
		"preparing":        {MigrationRunning, MigrationFailed, "cancelled", automaton.Gone},
		MigrationPreparing: {MigrationRunning, MigrationDone, MigrationFailed, "cancelled", automaton.Gone},
		MigrationRunning:   {MigrationArriving, MigrationFinished, MigrationCompleted, MigrationDone, MigrationFailed, "cancelled", automaton.Gone},
		MigrationArriving:  {MigrationFinished, MigrationCompleted, MigrationDone, MigrationFailed, automaton.Gone},
		MigrationFinished:  {MigrationConfirmed, MigrationReverting, MigrationReverted, MigrationFailed, automaton.Gone},
		MigrationReverting: {MigrationReverted, MigrationFinished, MigrationFailed, automaton.Gone},
		MigrationConfirmed: {automaton.Gone},
		MigrationReverted:  {automaton.Gone},
		MigrationCompleted: {automaton.Gone},
		MigrationDone:      {automaton.Gone},
		MigrationFailed:    {automaton.Gone},
		"cancelled":        {automaton.Gone},
	})
}
