package guests

import (
	"context"
	"encoding/json"
	"io"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/hostlink"
)

// params are those of all verbs and streams; each looks at its own.
type params struct {
	ID       string           `json:"id"`       // streams: the server
	Kind     guest.RebootKind `json:"kind"`     // reboot: SOFT (default) or HARD
	Lines    *int             `json:"lines"`    // console-log: the last so many; missing or negative: all that is kept
	Disk     string           `json:"disk"`     // snapshot: the disk's id in the Spec; default "root"
	Name     string           `json:"name"`     // of a snapshot; default: the command's token
	User     string           `json:"user"`     // set-password
	Password string           `json:"password"` // set-password
	Format   string           `json:"format"`   // cache-image
}

func paramsOf(raw json.RawMessage) (params, error) {
	var p params
	if len(raw) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fault.Invalidf("the parameters cannot be read").Because(err)
	}
	return p, nil
}

// consoleLog is the answer to console-log.
type consoleLog struct {
	Output []byte `json:"output"`
}

// Command runs a one-shot.
func (a *Applier) Command(ctx context.Context, cmd hostlink.Command) (json.RawMessage, error) {
	p, err := paramsOf(cmd.Params)
	if err != nil {
		return nil, err
	}
	answer, err := a.run(ctx, cmd, p)
	if err != nil || answer == nil {
		return nil, err
	}
	return json.Marshal(answer)
}

func (a *Applier) run(ctx context.Context, cmd hostlink.Command, p params) (any, error) {
	switch cmd.Verb {
	case "reboot":
		return nil, a.reboot(ctx, cmd.Object, p.Kind)
	case "console-log":
		lines := -1
		if p.Lines != nil {
			lines = *p.Lines
		}
		out, err := a.driver.ConsoleLog(ctx, cmd.Object, lines)
		return consoleLog{out}, err
	case "snapshot":
		if p.Disk == "" {
			p.Disk = "root"
		}
		if p.Name == "" {
			p.Name = cmd.Token
		}
		return a.driver.Snapshot(ctx, cmd.Object, p.Disk, p.Name)
	case "snapshot-discard":
		return nil, a.driver.DiscardSnapshot(ctx, cmd.Object, p.Name)
	case "diagnostics":
		return a.driver.Diagnose(ctx, cmd.Object)
	case "nmi":
		return nil, a.driver.InjectNMI(ctx, cmd.Object)
	case "set-password":
		return nil, a.driver.SetPassword(ctx, cmd.Object, p.User, p.Password)
	case guest.VerbCache: // the object is an image
		fetched, err := a.driver.Cache(ctx, cmd.Object, p.Format)
		return guest.CacheAnswer{Fetched: fetched}, err
	}
	return nil, fault.New(fault.NotImplemented, "guests know no verb %q", cmd.Verb)
}

func (a *Applier) reboot(ctx context.Context, id string, kind guest.RebootKind) error {
	switch kind {
	case "":
		kind = guest.RebootSoft
	case guest.RebootSoft, guest.RebootHard:
	default:
		return fault.Invalidf("there is no reboot of type %q", kind)
	}
	if err := a.driver.Reboot(ctx, id, kind); err != nil {
		return err
	}
	a.retell(id) // a hard one is another process
	return nil
}

// Stream opens a byte stream of a guest.
func (a *Applier) Stream(ctx context.Context, kind string, raw json.RawMessage) (io.ReadWriteCloser, error) {
	p, err := paramsOf(raw)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "vnc":
		return a.driver.VNC(ctx, p.ID)
	case "serial":
		return a.driver.Serial(ctx, p.ID)
	case "snapshot":
		r, err := a.driver.OpenSnapshot(ctx, p.ID, p.Name)
		if err != nil {
			return nil, err
		}
		return oneWay{r}, nil
	}
	return nil, fault.New(fault.NotImplemented, "guests have no stream of kind %q", kind)
}

// oneWay is a stream that is only read.
type oneWay struct{ io.ReadCloser }

// Write refuses.
func (oneWay) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
