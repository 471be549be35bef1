package history

// Record is one line of a history: one of its fields is set.
type Record struct {
	Run    *Run    `json:"run,omitempty"`
	Op     *Op     `json:"op,omitempty"`
	Watch  *Watch  `json:"watch,omitempty"`
	Fault  *Fault  `json:"fault,omitempty"`
	Hashes *Hashes `json:"hashes,omitempty"`
}

// Run says what the run was.
type Run struct {
	Seed   uint64            `json:"seed,omitempty"`
	Commit string            `json:"commit,omitempty"`
	Began  string            `json:"began,omitempty"` // RFC 3339
	Notes  map[string]string `json:"notes,omitempty"`
}

// Fault is one fault of the run.
type Fault struct {
	ID      int      `json:"id"`
	Kind    string   `json:"kind"`
	Members []string `json:"members,omitempty"`
	Start   int64    `json:"start"`
	End     int64    `json:"end"`             // when it was healed
	Proof   string   `json:"proof,omitempty"` // that it happened
}

// Hashes is the answer of a comparison of the members' states.
type Hashes struct {
	At       int64             `json:"at"`
	Final    bool              `json:"final,omitempty"` // all members are up and all faults healed
	Index    uint64            `json:"index"`
	Hashes   map[string]string `json:"hashes"` // by member id in decimal
	Missing  []uint64          `json:"missing,omitempty"`
	Diverged []uint64          `json:"diverged,omitempty"`
	Members  []uint64          `json:"members,omitempty"` // that there should be; none: those that answered
}

// History is a run as the checks take it.
type History struct {
	Run     Run
	Ops     []*Op    // in the order of Start
	Watches []*Watch // of each watcher in the order in which they happened
	Faults  []*Fault
	Hashes  []*Hashes
}
