package history

import "time"

// Kind is what an operation does.
type Kind string

// Kinds of operations.
const (
	Get    Kind = "get"
	List   Kind = "list"
	Put    Kind = "put"    // with If, a compare-and-set or a creation
	Delete Kind = "delete" // of one key

	// Increment is a put of a number in decimal over the number before it, with
	// If set to what was read: Absent, or the revision. The value is one more
	// than what it replaces, or 1. Nothing else writes such a key.
	Increment Kind = "increment"

	DeletePrefix Kind = "delete_prefix" // of all keys with Prefix
	Txn          Kind = "txn"
	Compact      Kind = "compact" // of the history up to Revision
	Grant        Kind = "grant"   // of a lease with TTL; Lease is the answer's
	KeepAlive    Kind = "keepalive"
	Revoke       Kind = "revoke"
)

// Outcome is what is known of an operation.
type Outcome string

// Outcomes; see the package's doc.
const (
	OK      Outcome = "ok"
	Failed  Outcome = "failed"
	Unknown Outcome = "unknown"
)

// Mode is which state a read asks for.
type Mode string

// Modes of Get and List.
const (
	Linearizable Mode = ""             // the newest
	Stale        Mode = "stale"        // the member's own
	MinRevision  Mode = "min_revision" // no older than AtRevision
	AtRevision   Mode = "revision"     // as it was at AtRevision
)

// If is the condition of a write.
type If string

// Conditions of a put or a delete.
const (
	Always     If = ""
	Absent     If = "absent"   // If-None-Match: *
	Present    If = "present"  // If-Match: *
	IfRevision If = "revision" // If-Match: OverRevision
)

// Op is one operation: what was asked, when, and what came of it. Values are as
// Short makes them.
type Op struct {
	ID     int64  `json:"id"`     // of the run; Writer.NextID gives one
	Client int    `json:"client"` // one client does one thing at a time
	Kind   Kind   `json:"kind"`
	Member string `json:"member,omitempty"` // that was asked last
	Conn   int64  `json:"conn,omitempty"`   // of the run, that the answer came by; 0: not known
	Start  int64  `json:"start"`            // before the first byte of the first attempt
	End    int64  `json:"end"`              // after the answer, or when it was given up
	Tries  int    `json:"tries,omitempty"`  // 0 is 1

	// What was asked.
	Key            string        `json:"key,omitempty"`
	Prefix         string        `json:"prefix,omitempty"` // of a list or delete_prefix
	Limit          int           `json:"limit,omitempty"`  // of a list; 0: all of its pages
	Reverse        bool          `json:"reverse,omitempty"`
	Value          string        `json:"value,omitempty"` // of a write
	If             If            `json:"if,omitempty"`
	OverRevision   uint64        `json:"over_revision,omitempty"`
	Mode           Mode          `json:"mode,omitempty"`
	AtRevision     uint64        `json:"at_revision,omitempty"` // of the mode; of a compaction
	IdempotencyKey string        `json:"idempotency_key,omitempty"`
	TTL            time.Duration `json:"ttl,omitempty"`   // of a put or a grant
	Lease          string        `json:"lease,omitempty"` // of a put, keepalive or revoke; of a grant, the answer's
	Txn            *TxnOp        `json:"txn,omitempty"`

	// What came of it.
	Outcome Outcome `json:"outcome"`
	Status  int     `json:"status,omitempty"` // of the last answer; 0: there was none
	Code    string  `json:"code,omitempty"`   // of a problem, such as precondition_failed
	// Hit: the condition held, the key or lease was there, a delete deleted
	// something, the comparisons of a transaction held.
	Hit bool `json:"hit,omitempty"`
	// Revision is the store's: of a write, the one that it made, or at which it
	// changed nothing; of a read, the one of the state that was read. 0: not told.
	Revision uint64 `json:"revision,omitempty"`
	Deleted  uint64 `json:"deleted,omitempty"`  // keys, by a delete, delete_prefix or revoke
	Replayed bool   `json:"replayed,omitempty"` // Idempotent-Replay: true
	// Seen is what a read found; of a condition that did not hold the key with
	// its revision alone, if there is one; of a write that asked for it, what was
	// there before.
	Seen []Item `json:"seen,omitempty"`
	// More: a list with a Limit says that there is more.
	More bool `json:"more,omitempty"`
}

// Item is a key as an answer or an event shows it. What was not told is zero.
type Item struct {
	Key            string `json:"key"`
	Value          string `json:"value,omitempty"`
	ModRevision    uint64 `json:"mod,omitempty"`
	CreateRevision uint64 `json:"create,omitempty"`
	Version        uint64 `json:"version,omitempty"`
	Lease          string `json:"lease,omitempty"`
	NoValue        bool   `json:"no_value,omitempty"` // Value was not asked for, or not told
}

// TxnOp is a transaction, and the results of the branch that was taken.
type TxnOp struct {
	If      []Compare `json:"if,omitempty"`
	Then    []Step    `json:"then,omitempty"`
	Else    []Step    `json:"else,omitempty"`
	Results []Step    `json:"results,omitempty"` // as the branch, with the answers filled in
}

// Compare is one comparison of a transaction.
type Compare struct {
	Key    string `json:"key"`
	Target string `json:"target"`           // mod_revision, create_revision, version, value, lease, exists
	Op     string `json:"op,omitempty"`     // eq ne gt lt ge le; empty for exists
	Number uint64 `json:"number,omitempty"` // of a revision or version
	Text   string `json:"text,omitempty"`   // of a value (as it is, not Short) or lease
	Exists bool   `json:"exists,omitempty"`
}

// Step is one operation of a transaction.
type Step struct {
	Kind   Kind          `json:"kind"` // get, list, put, delete, delete_prefix
	Key    string        `json:"key,omitempty"`
	Prefix string        `json:"prefix,omitempty"`
	Limit  int           `json:"limit,omitempty"`
	Value  string        `json:"value,omitempty"`
	TTL    time.Duration `json:"ttl,omitempty"`
	Lease  string        `json:"lease,omitempty"`

	// Of a result.
	Seen    []Item `json:"seen,omitempty"`
	Deleted uint64 `json:"deleted,omitempty"`
	Created bool   `json:"created,omitempty"`
	More    bool   `json:"more,omitempty"`
}
