package client

import (
	"strconv"
	"time"
)

// Consistency says which state a read sees.
type Consistency string

// Consistencies. The empty one is Linearizable, unless MinRevision is given:
// that waits for a revision instead of asking for the newest.
const (
	Linearizable Consistency = "linearizable" // every write answered before the read began
	Stale        Consistency = "stale"        // what the member itself has, at once
)

// ReadOptions are common to the reads of keys.
type ReadOptions struct {
	Consistency Consistency
	MaxStale    time.Duration // with Stale: refuse rather than answer from older state; 0: any
	MinRevision uint64        // wait until the member has applied this revision; 0: do not
	Revision    uint64        // read as it was then; 0: now
}

// parameters adds what the options say to a query.
func (o *ReadOptions) parameters(q *call) {
	if o.Consistency != "" {
		q.param("consistency", string(o.Consistency))
	}
	if o.MaxStale != 0 {
		q.param("max_stale", durationText(o.MaxStale))
	}
	if o.MinRevision != 0 {
		q.param("min_revision", strconv.FormatUint(o.MinRevision, 10))
	}
	if o.Revision != 0 {
		q.param("revision", strconv.FormatUint(o.Revision, 10))
	}
}

// ReadInfo says which state a read has seen.
type ReadInfo struct {
	// Revision is that of the store.
	Revision uint64
	// Staleness is, of a stale read, how long ago the member had last heard
	// from a leader; negative: it never had.
	Staleness time.Duration
}

func readInfo(a *answer) ReadInfo { return ReadInfo{Revision: a.revision, Staleness: a.staleness} }
