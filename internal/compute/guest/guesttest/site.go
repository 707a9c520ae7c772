package guesttest

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mekcloud/mek/internal/compute/guest"
	"github.com/mekcloud/mek/internal/fault"
	"github.com/mekcloud/mek/internal/id"
)

// Site is the host around a driver, for tests: it is the driver's ImageSource,
// Volumes and Taps.
type Site struct {
	Dir string // for the driver, and for what the site keeps

	mu      sync.Mutex
	images  map[string]string // id to path
	format  map[string]string
	volumes map[string]guest.VolumeFile
	opened  map[string]int // images that were opened, how often
}

// NewSite makes an empty site.
func NewSite(t testing.TB) *Site {
	t.Helper()
	return &Site{Dir: t.TempDir(), images: map[string]string{}, format: map[string]string{}, volumes: map[string]guest.VolumeFile{}, opened: map[string]int{}}
}

// AddImage offers a file as an image.
func (s *Site) AddImage(path, format string) (imageID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	imageID = id.New()
	s.images[imageID], s.format[imageID] = path, format
	return imageID
}

// AddVolume makes an empty volume.
func (s *Site) AddVolume(t *testing.T, size int64) (volumeID string) {
	t.Helper()
	volumeID = id.New()
	path := filepath.Join(s.Dir, "volume-"+volumeID)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volumes[volumeID] = guest.VolumeFile{Path: path, Format: "raw"}
	return volumeID
}

// VolumePath is where a volume's bytes are.
func (s *Site) VolumePath(volumeID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.volumes[volumeID].Path
}

// Opened tells how often an image was fetched.
func (s *Site) Opened(imageID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened[imageID]
}

// Open serves an image.
func (s *Site) Open(_ context.Context, imageID string) (io.ReadCloser, guest.ImageInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, ok := s.images[imageID]
	if !ok {
		return nil, guest.ImageInfo{}, fault.NotFoundf("image %s is not there", imageID)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, guest.ImageInfo{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, guest.ImageInfo{}, err
	}
	s.opened[imageID]++
	return f, guest.ImageInfo{Format: s.format[imageID], SizeBytes: info.Size()}, nil
}

// Volume finds a volume.
func (s *Site) Volume(_ context.Context, volumeID string) (guest.VolumeFile, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.volumes[volumeID]
	if !ok {
		return v, fault.Unavailablef("volume %s is not here", volumeID)
	}
	return v, nil
}

// OpenTap makes a tap that nothing is connected to, in a network namespace of
// its own that lives as long as the tap.
func (s *Site) OpenTap(context.Context, string, guest.Limits) (*os.File, error) {
	type outcome struct {
		f   *os.File
		err error
	}
	done := make(chan outcome)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends in its namespace
		f, err := openTap()
		done <- outcome{f, err}
	}()
	o := <-done
	return o.f, o.err
}

// Wired returns at once: there is nothing to be connected to.
func (s *Site) Wired(context.Context, string) error { return nil }

func openTap() (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open the tap device: %w", err)
	}
	request, err := unix.NewIfreq("tap0")
	if err != nil {
		return nil, err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		_ = unix.Close(fd) // nothing was done with it
		return nil, fmt.Errorf("make a tap: %w", err)
	}
	return os.NewFile(uintptr(fd), "tap"), nil
}
