package raftnode

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"go.uber.org/zap"
)

// Identity names a member for as long as its data directory lives.
type Identity struct {
	Cluster uint64 `json:"cluster"` // shared by all members of a cluster
	Member  uint64 `json:"member"`  // unique in the cluster, never used again
	Name    string `json:"name"`    // for people
}

// Founder is one of the members a cluster starts with.
type Founder struct {
	ID      uint64
	PeerURL string
}

// Config is what a Node needs to know. Zero means the default given with a field.
type Config struct {
	Identity
	PeerURL   string // where peers reach this member
	ClientURL string // where clients reach this member

	// Founders are all members a new cluster starts with, this one included;
	// the same list on each. Used only while the log is empty. A member that
	// joins a running cluster has none.
	Founders []Founder
	// Seeds are peers of a joining member, id to peer URL, until it has
	// learned the membership from the log.
	Seeds map[uint64]string

	Tick           time.Duration // raft's unit of time; 100ms
	ElectionTicks  int           // an election starts after this many to twice as many silent ticks; 10
	HeartbeatTicks int           // ticks between heartbeats; 1

	SnapshotEntries uint64 // log entries between snapshots; 100,000
	SnapshotBytes   uint64 // log bytes between snapshots; 64 MiB
	CatchUpEntries  uint64 // entries kept behind a snapshot for slow followers; 10,000, or SnapshotEntries where that is less
	CatchUpBytes    uint64 // and at most this many bytes of them; 16 MiB

	MaxBatchBytes      int // commands that share an entry, unless one alone is larger; 1 MiB
	MaxBatchesInFlight int // uncommitted entries of commands; 1, measured best on fast disks
	MaxForwards        int // requests of a follower under way to the leader; 1
	MaxWaiting         int // proposals that wait or are under way; 65,536
	MaxWaitingBytes    int // and their bytes; 256 MiB
	MaxWaitingReads    int // callers of ReadBarrier at once; 65,536

	// ReadOnlyLeaseBased lets a leader answer ReadBarrier without asking the
	// others, in the belief that they would have told it of another leader. One
	// that is cut off believes so for up to an election timeout, and longer where
	// a clock or a process stands still: it serves stale reads.
	ReadOnlyLeaseBased bool

	// SnapshotRoom is asked before a snapshot is written to the disk and every
	// 4 MiB; an error puts the snapshot off. It must not block. None: there is
	// always room.
	SnapshotRoom func() error

	// VerifyEvery is the time between two comparisons of all members' states;
	// 30s. Less than 0: only Verify makes one. A member that differs is found
	// within twice this time, and two thirds of it for those that do not answer;
	// later where a state takes longer than that to hash.
	VerifyEvery time.Duration

	// Monotonic is the clock that the log's runs by: it never goes back, and is read
	// from several goroutines. None: the process's own.
	Monotonic func() time.Time

	Logger *zap.Logger // none: silent
}

const (
	maxSizePerMsg       = 1 << 20  // one MsgApp, unless one entry alone is larger
	maxInflightMsgs     = 256      // MsgApps a follower may not have answered
	maxInflightBytes    = 64 << 20 // and their bytes
	maxUncommittedBytes = 256 << 20
	maxApplyBytes       = 16 << 20 // entries handed to apply and not yet acknowledged by it
	maxInboxBytes       = 64 << 20 // entries from peers that the loop has not stepped
)

func (c Config) withDefaults() Config {
	c.Tick = cmp.Or(c.Tick, 100*time.Millisecond)
	c.ElectionTicks = cmp.Or(c.ElectionTicks, 10)
	c.HeartbeatTicks = cmp.Or(c.HeartbeatTicks, 1)
	c.SnapshotEntries = cmp.Or(c.SnapshotEntries, 100_000)
	c.SnapshotBytes = cmp.Or(c.SnapshotBytes, 64<<20)
	c.CatchUpEntries = cmp.Or(c.CatchUpEntries, min(10_000, c.SnapshotEntries))
	c.CatchUpBytes = cmp.Or(c.CatchUpBytes, 16<<20)
	c.MaxBatchBytes = cmp.Or(c.MaxBatchBytes, 1<<20)
	c.MaxBatchesInFlight = cmp.Or(c.MaxBatchesInFlight, 1)
	c.MaxForwards = cmp.Or(c.MaxForwards, 1)
	c.MaxWaiting = cmp.Or(c.MaxWaiting, 1<<16)
	c.MaxWaitingBytes = cmp.Or(c.MaxWaitingBytes, 256<<20)
	c.MaxWaitingReads = cmp.Or(c.MaxWaitingReads, 1<<16)
	c.VerifyEvery = cmp.Or(c.VerifyEvery, 30*time.Second)
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	return c
}

// electionTimeout is the shortest silence of a leader after which another is
// elected, and the longest after which a member still counts as answering.
func (n *Node[R]) electionTimeout() time.Duration {
	return time.Duration(n.cfg.ElectionTicks) * n.cfg.Tick
}

// ElectionTimeout is the shortest silence of a leader after which another is elected.
func (n *Node[R]) ElectionTimeout() time.Duration { return n.electionTimeout() }

func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Member == 0 {
		bad("member id is 0")
	}
	if c.Cluster == 0 {
		bad("cluster id is 0")
	}
	if c.Tick < time.Millisecond {
		bad("tick %v is below 1ms", c.Tick)
	}
	if c.ElectionTicks <= 2*c.HeartbeatTicks {
		bad("election ticks %d must be more than twice the heartbeat ticks %d", c.ElectionTicks, c.HeartbeatTicks)
	}
	if err := checkURL(c.PeerURL); err != nil {
		errs = append(errs, err)
	}
	if len(c.Founders) > 0 && !slices.ContainsFunc(c.Founders, func(f Founder) bool { return f.ID == c.Member }) {
		bad("member %d is not among the founders", c.Member)
	}
	return errors.Join(errs...)
}

func sortedFounders(founders []Founder) []Founder {
	return slices.SortedFunc(slices.Values(founders), func(a, b Founder) int { return cmp.Compare(a.ID, b.ID) })
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || (u.Path != "" && u.Path != "/") {
		return fmt.Errorf("%w: %q is not a URL of the form http://host:port", ErrBadMember, s)
	}
	return nil
}
