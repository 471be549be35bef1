package history

// WatchKind is what a watcher tells of.
type WatchKind string

// Kinds of watch records.
const (
	// Open: a stream was asked for and the answer's header came. Stream is its
	// number, and each record of what comes by it carries the same.
	Open WatchKind = "open"
	// Event: a put, delete or expire.
	Event WatchKind = "event"
	// Progress: all up to ID was delivered.
	Progress WatchKind = "progress"
	// Reset: the stream says that it cannot go on, and ends.
	Reset WatchKind = "reset"
	// Refused: the stream was asked for and not given: 410, 400, …
	Refused WatchKind = "refused"
	// Closed: the stream ended, for whatever reason.
	Closed WatchKind = "closed"
)

// Watch is one thing that happened to a watcher. The records of one watcher are
// in the order of At, and in the file in the order in which they happened.
type Watch struct {
	Watcher int       `json:"watcher"` // of the run; always asks for the same keys
	Stream  int       `json:"stream"`  // of the watcher, from 1
	At      int64     `json:"at"`      // when it was received
	What    WatchKind `json:"what"`

	// Of open and refused: what was asked.
	Member   string   `json:"member,omitempty"`
	Keys     []string `json:"keys,omitempty"` // without keys and prefixes, the whole store
	Prefixes []string `json:"prefixes,omitempty"`
	Types    []string `json:"types,omitempty"` // events=; none: all
	Prev     bool     `json:"prev,omitempty"`
	// Since is what was asked for as since or Last-Event-ID (Resumed tells which).
	// FromNow: neither was; the stream begins with what is newer than its answer.
	Since   uint64 `json:"since,omitempty"`
	FromNow bool   `json:"from_now,omitempty"`
	Resumed bool   `json:"resumed,omitempty"`
	// Library: the events come from client.Watcher, which goes on over broken
	// streams by itself and does not tell of them: there is one Stream, and ID is
	// set where Event.Last is true.
	Library bool `json:"library,omitempty"`

	// Of an event: its id line (0: it has none), type and item, of a delete or
	// expire with Key and ModRevision alone. Of progress: its id.
	ID       uint64 `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Item     *Item  `json:"item,omitempty"`
	PrevItem *Item  `json:"prev_item,omitempty"`

	// Of reset and refused.
	Oldest uint64 `json:"oldest,omitempty"` // the oldest revision that is still there
	Status int    `json:"status,omitempty"`
	Code   string `json:"code,omitempty"`
}
