package check

import (
	"encoding/json"
	"fmt"
	"time"

	"kvd/test/chaos/history"
)

// The following is what "kvd debug dump-log --json" prints, as far as checks
// need it.

// Header is the first line of a dump.
type Header struct {
	Member        uint64   `json:"member"`
	Cluster       string   `json:"cluster_id"`
	Commit        uint64   `json:"commit"`
	Last          uint64   `json:"last_index"`
	SnapshotIndex uint64   `json:"snapshot_index"`
	LogClock      Duration `json:"log_clock"`
	Revision      uint64   `json:"revision"`
	Compacted     uint64   `json:"compacted_revision"`
}

// Entry is one entry of the log.
type Entry struct {
	Index     uint64          `json:"index"`
	Term      uint64          `json:"term"`
	Kind      string          `json:"kind"`
	LogClock  Duration        `json:"log_clock"`
	Commands  []*Command      `json:"commands"`
	Change    string          `json:"change"`
	Refused   string          `json:"refused"`
	StateHash string          `json:"state_hash"`
	Detail    json.RawMessage `json:"detail"`
}

// Command is one command of the log with its result. Keys are the bytes that they
// are; values are as history.Short makes them.
type Command struct {
	Kind           string
	IdempotencyKey string
	Fingerprint    string
	Key            string
	End            string
	HasEnd         bool
	Value          string
	If             history.If
	IfRevision     uint64
	TTL            time.Duration
	Lease          string
	UpTo           uint64
	Txn            *Txn
	Result         CommandResult
}

// CommandResult is what a member's replay of the command came to.
type CommandResult struct {
	Code        string `json:"code"`
	Revision    uint64 `json:"revision"`
	ModRevision uint64 `json:"mod_revision"`
	Deleted     uint64 `json:"deleted"`
	Lease       string `json:"lease"`
	Succeeded   *bool  `json:"succeeded"`
	Replayed    bool   `json:"replayed"`
}

// Txn is a transaction of the log.
type Txn struct {
	If         []Compare `json:"if"`
	Then, Else []TxnStep
}

// Compare is one comparison of it.
type Compare struct {
	Key, Target, Op string
	Number          uint64
	Text            string // of a value or lease
}

// TxnStep is one operation of it.
type TxnStep struct {
	Op         string
	Key, End   string
	HasEnd     bool
	Value      string
	TTL        time.Duration
	Lease      string
	Limit      uint64
	Reverse    bool
	Keys       bool
	OnlyCounts bool
}

// Lease is a lease of a snapshot.
type Lease struct {
	ID       string   `json:"id"`
	TTL      Duration `json:"ttl"`
	Deadline Duration `json:"deadline"`
}

// Request is a remembered request of a snapshot.
type Request struct {
	IdempotencyKey string        `json:"idempotency_key"`
	Fingerprint    string        `json:"fingerprint"`
	LogClock       Duration      `json:"log_clock"`
	Result         CommandResult `json:"result"`
}

// Version is a key after one change of it.
type Version struct {
	Key      string
	Type     string // put, delete, expire
	Value    string
	Mod      uint64
	Create   uint64 // of a put, as all below
	Version  uint64
	Lease    string
	TTL      time.Duration
	Deadline time.Duration
}

func (v *Version) live() bool { return v != nil && v.Type == "put" }

func (v *Version) String() string {
	if !v.live() {
		return "nothing"
	}
	return fmt.Sprintf("%q of revision %d", v.Value, v.Mod)
}
