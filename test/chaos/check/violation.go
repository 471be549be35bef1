package check

import (
	"fmt"
	"strings"
)

// Violation is one thing that must not be.
type Violation struct {
	Check    string  `json:"check"`
	What     string  `json:"what"`               // a sentence
	Ops      []int64 `json:"ops,omitempty"`      // ids of the operations
	Watcher  int     `json:"watcher,omitempty"`  // where a watcher saw it
	Revision uint64  `json:"revision,omitempty"` // where it is of one
}

func (v Violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", v.Check, v.What)
	if len(v.Ops) > 0 {
		fmt.Fprintf(&b, " (operations %s)", strings.Trim(fmt.Sprint(v.Ops), "[]"))
	}
	return b.String()
}

// maxViolations is how many of one check are kept: a run that is wrong once is
// wrong, and one fault can show a million times.
const maxViolations = 50

// shownOps is how many operations a violation names.
const shownOps = 20

// Result is what one check came to.
type Result struct {
	Check      string      `json:"check"`
	Judged     int         `json:"judged"`  // operations, events, entries: whatever the check looks at
	Skipped    int         `json:"skipped"` // that it could not judge
	Count      int         `json:"count"`   // of violations, those included that are not kept
	Violations []Violation `json:"violations,omitempty"`
}

// fail adds a violation.
func (r *Result) fail(v Violation) {
	v.Check = r.Check
	v.Ops = v.Ops[:min(len(v.Ops), shownOps)]
	r.Count++
	if len(r.Violations) < maxViolations {
		r.Violations = append(r.Violations, v)
	}
}

// failf adds a violation of operations.
func (r *Result) failf(ops []int64, format string, args ...any) {
	r.fail(Violation{What: fmt.Sprintf(format, args...), Ops: ops})
}
