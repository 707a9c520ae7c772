package servers

import (
	"context"
	"errors"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/db"
	"github.com/mekcloud/mek/internal/event"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/outbox"
)

// acted records an action that is over, and how it went.
func (s *Servers) acted(ctx context.Context, one *Server, name, event string, failure error, record event.Record) error {
	now := stamp(s.Clock)
	err := s.DB.Write(ctx, func(tx *db.Tx) error {
		if err := beginAction(ctx, tx, one, name, event, record.UserID, record.RequestID, now); err != nil {
			return err
		}
		if err := endAction(ctx, tx, one.ID, record.RequestID, one.Host, failure, now); err != nil {
			return err
		}
		return outbox.Write(ctx, tx, record)
	})
	return errors.Join(failure, err)
}

// ChangePassword has the agent in a guest set its administrator's password.
func (s *Servers) ChangePassword(ctx context.Context, one *Server, password string, override bool, record event.Record) error {
	if err := ready(one, "changePassword", override); err != nil {
		return err
	}
	user := one.Image.Properties["os_admin_user"]
	if user == "" {
		user = "root"
		if one.Image.Properties["os_type"] == "windows" {
			user = "Administrator"
		}
	}
	err := s.ask(ctx, one, "set-password", map[string]string{"user": user, "password": password}, nil)
	if err != nil {
		err = fault.Conflictf("Failed to set admin password on %s because %s", one.ID, publicText(err)).Because(err)
	}
	return s.acted(ctx, one, "changePassword", "compute_set_admin_password", err, record)
}

// CrashDump sends a guest's kernel an interrupt that cannot be masked.
func (s *Servers) CrashDump(ctx context.Context, one *Server, override bool, record event.Record) error {
	if err := ready(one, "trigger_crash_dump", override); err != nil {
		return err
	}
	err := s.ask(ctx, one, "nmi", struct{}{}, nil)
	return s.acted(ctx, one, "trigger_crash_dump", "compute_trigger_crash_dump", err, record)
}

// Diagnose reads counters of a running guest.
func (s *Servers) Diagnose(ctx context.Context, one *Server) (d guest.Diagnostics, err error) {
	if one.Host == "" {
		return d, fault.Conflictf("Instance %s is not ready", one.ID)
	}
	err = s.ask(ctx, one, "diagnostics", struct{}{}, &d)
	if fault.Is(err, fault.Conflict) {
		err = fault.Conflictf("Cannot 'get_diagnostics' instance %s while it is in power state %d", one.ID, one.Power)
	}
	return d, err
}

// RefreshNetwork renders anew what a server's guest is told of its network.
func (s *Servers) RefreshNetwork(ctx context.Context, serverID string, override bool, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		if err := ready(one, "injectNetworkInfo", override); err != nil {
			return err
		}
		if err := s.logAction(ctx, tx, one, "injectNetworkInfo", record); err != nil {
			return err
		}
		_, err := s.raise(ctx, tx, one.Host, one.ID)
		return err
	})
	return err
}

// ClearPassword forgets the password that a guest posted; it may post another.
func (s *Servers) ClearPassword(ctx context.Context, serverID string, record event.Record) error {
	_, err := s.change(ctx, serverID, record, func(tx *db.Tx, one *Server) error {
		one.Password = ""
		_, err := s.raise(ctx, tx, one.Host, one.ID)
		return err
	})
	return err
}
