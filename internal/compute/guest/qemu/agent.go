package qemu

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"github.com/mekcloud/mek/internal/fault"
)

// agentLimit is how long the agent inside a guest may take for one command.
const agentLimit = 20 * time.Second

// agentLine bounds one of its answers: they come from inside the guest.
const agentLine = 1 << 20

// SetPassword changes a user's password through the agent in the guest.
func (d *Driver) SetPassword(ctx context.Context, guestID, user, password string) error {
	m, err := d.find(guestID)
	if err != nil {
		return err
	}
	return m.askAgent(ctx, "guest-set-user-password", map[string]any{
		"username": user, "password": base64.StdEncoding.EncodeToString([]byte(password)), "crypted": false,
	}, nil)
}

// askAgent runs one command of the guest's agent. Unavailable when none answers.
func (m *machine) askAgent(ctx context.Context, command string, args, result any) error {
	if _, err := m.monitor(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, agentLimit)
	defer cancel()
	select {
	case m.agentTurn <- struct{}{}:
	case <-ctx.Done():
		return fault.Unavailablef("the server's agent is busy").Because(context.Cause(ctx))
	}
	defer func() { <-m.agentTurn }()
	var dial net.Dialer
	conn, err := dial.DialContext(ctx, "unix", filepath.Join(m.run, agentSocket))
	if err != nil {
		return fault.Unavailablef("the server's agent cannot be reached").Because(err)
	}
	defer closeAll(conn)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	r := bufio.NewReader(conn)
	if err := agentSync(conn, r); err != nil {
		return fault.Unavailablef("no agent answers in the server").Because(err)
	}
	return agentCommand(conn, r, command, args, result)
}

// agentSync makes sure that what is read next answers what is written next: an
// earlier client may have left half a command and unread answers behind. The
// 0xFF byte resets the agent's parser; it complains about it in a line of its
// own, and then answers with 0xFF and the number it was given.
func agentSync(w io.Writer, r *bufio.Reader) error {
	const number = 7462915
	ask := fmt.Sprintf("\xff"+`{"execute":"guest-sync-delimited","arguments":{"id":%d}}`+"\n", number)
	if _, err := io.WriteString(w, ask); err != nil {
		return err
	}
	for {
		line, err := agentRead(r)
		if err != nil {
			return err
		}
		at := bytes.LastIndexByte(line, 0xff)
		var answer struct {
			Return int64 `json:"return"`
		}
		if at >= 0 && json.Unmarshal(line[at+1:], &answer) == nil && answer.Return == number {
			return nil
		}
	}
}

func agentCommand(w io.Writer, r *bufio.Reader, command string, args, result any) error {
	ask, err := json.Marshal(map[string]any{"execute": command, "arguments": args})
	if err != nil {
		return fmt.Errorf("encode a command: %w", err)
	}
	if _, err := w.Write(append(ask, '\n')); err != nil {
		return fault.Unavailablef("no agent answers in the server").Because(err)
	}
	line, err := agentRead(r)
	if err != nil {
		return fault.Unavailablef("no agent answers in the server").Because(err)
	}
	var answer struct {
		Return json.RawMessage `json:"return"`
		Error  *struct {
			Desc string `json:"desc"`
		} `json:"error"`
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return fault.Unavailablef("the server's agent does not make sense").Because(err)
	}
	if answer.Error != nil {
		return fault.Conflictf("the server's agent refused").Because(errors.New(answer.Error.Desc))
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer.Return, result)
}

// agentRead is one line of the agent, bounded.
func agentRead(r *bufio.Reader) ([]byte, error) {
	var whole []byte
	for {
		part, err := r.ReadSlice('\n')
		whole = append(whole, part...)
		if len(whole) > agentLine {
			return nil, errors.New("an endless answer")
		}
		if err == nil {
			return bytes.TrimRight(whole, "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
	}
}
