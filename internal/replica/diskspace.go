package replica

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// DiskSpace watches how much room is left where the data directory lies, so that
// writes end before the log can fail. What frees room goes on: deletes, the end of
// leases, compactions; and so do reads.
type DiskSpace struct {
	dir     string
	reserve uint64 // 0: nobody is stopped
	stat    func(dir string) (uint64, error)
	every   time.Duration
	lg      *zap.Logger
	node    diskNode // set once, before the first look

	free  atomic.Uint64 // at the last look
	short bool          // owned by Look
	blind bool          // the last look has failed; owned by Look
}

// diskNode spreads the word among the members.
type diskNode interface {
	SetDiskShort(short bool)
	DiskShort() []uint64
}

// WALSegmentBytes is what the log allocates at once when a segment begins, and for
// the one after it.
const WALSegmentBytes = 64 << 20

// diskPeriod is the time between two looks. What is written meanwhile, and until
// the others know, comes out of the reserve.
const diskPeriod = 500 * time.Millisecond

func newDiskSpace(dir string, reserve uint64, stat func(string) (uint64, error), lg *zap.Logger) *DiskSpace {
	return &DiskSpace{dir: dir, reserve: reserve, stat: stat, every: diskPeriod, lg: lg}
}

// Run looks until ctx ends.
func (d *DiskSpace) Run(ctx context.Context) error {
	tick := time.NewTicker(d.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.Look()
		}
	}
}

// diskMargin is at most what must be free beyond the reserve before writes go on.
const diskMargin = 64 << 20

// Look compares what is free with the reserve. Once short, an eighth more than the
// reserve must be free, so that writes do not come and go with each deleted file.
func (d *DiskSpace) Look() {
	free, err := d.stat(d.dir)
	if err != nil {
		if !d.blind {
			d.lg.Warn("free disk space is not known; the reserve is not kept", zap.String("directory", d.dir), zap.Error(err))
		}
		d.blind = true
		return
	}
	d.blind = false
	d.free.Store(free)
	limit := d.reserve
	if d.short {
		limit += min(d.reserve/8, diskMargin)
	}
	short := free < limit
	if short == d.short {
		return
	}
	d.short = short
	d.node.SetDiskShort(short)
	fields := []zap.Field{zap.String("directory", d.dir), zap.Uint64("free_bytes", free), zap.Uint64("reserve_bytes", d.reserve)}
	if short {
		d.lg.Warn("disk is short of space: writes that add data are refused on all members", fields...)
	} else {
		d.lg.Info("disk has room again", fields...)
	}
}

// noSpace says why writes are refused, if they are.
func (d *DiskSpace) noSpace() error {
	switch ids := d.node.DiskShort(); len(ids) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("the disk of member %d is short of space: make room there, or start it with a lower --disk-reserve-bytes", ids[0])
	default:
		return fmt.Errorf("the disks of members %d are short of space: make room there, or start them with a lower --disk-reserve-bytes", ids)
	}
}

// snapshotRoom refuses to a snapshot what the log needs of the reserve: two
// segments, or half of a reserve that is less than four.
func (d *DiskSpace) snapshotRoom() error {
	if d.reserve == 0 {
		return nil
	}
	free, err := d.stat(d.dir)
	if err == nil && free < min(d.reserve/2, 2*WALSegmentBytes) {
		return fmt.Errorf("%s has %d bytes left, and the log may need them", d.dir, free)
	}
	return nil
}
