package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// chunk is copied between two looks at the context.
const chunk = 32 << 20

// duplicate makes out a copy of in, sharing blocks where the file system can;
// elsewhere holes stay holes. out is empty.
func duplicate(ctx context.Context, in, out *os.File) error {
	err := unix.IoctlFileClone(int(out.Fd()), int(in.Fd()))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.ENOSYS):
		return sparseCopy(ctx, in, out)
	}
	return fmt.Errorf("share blocks: %w", err)
}

func sparseCopy(ctx context.Context, in, out *os.File) error {
	info, err := in.Stat()
	if err != nil {
		return fmt.Errorf("size of the source: %w", err)
	}
	size := info.Size()
	if err := out.Truncate(size); err != nil {
		return fmt.Errorf("size of the copy: %w", err)
	}
	for at := int64(0); at < size; {
		data, err := in.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil // only a hole is left
		}
		if err != nil {
			return fmt.Errorf("find data: %w", err)
		}
		hole, err := in.Seek(data, unix.SEEK_HOLE)
		if err != nil {
			return fmt.Errorf("find holes: %w", err)
		}
		if err := copyRange(ctx, in, out, data, hole); err != nil {
			return err
		}
		at = hole
	}
	return nil
}

func copyRange(ctx context.Context, in, out *os.File, from, to int64) error {
	if _, err := in.Seek(from, io.SeekStart); err != nil {
		return fmt.Errorf("find data: %w", err)
	}
	if _, err := out.Seek(from, io.SeekStart); err != nil {
		return fmt.Errorf("find place: %w", err)
	}
	for from < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.CopyN(out, in, min(chunk, to-from)) // copy_file_range
		if err != nil {
			return fmt.Errorf("copy data: %w", err)
		}
		from += n
	}
	return nil
}
