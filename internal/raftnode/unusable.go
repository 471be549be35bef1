package raftnode

import "fmt"

// Unusable is the error of a data directory that holds less than it should, or
// something else. It says what is wrong and where, and tells what is known
// about the directory, so that others can say what to do about it. It wraps
// ErrDataDir, and nothing in the directory was changed.
type Unusable struct {
	Dir      string
	Identity Identity // zero where not even that can be read
	Last     uint64   // the last log index that can be read
	Durable  uint64   // the last one that was known to be durable
	Members  []Member // as far as they can be read
	Snapshot string   // the newest snapshot file that is whole; empty: none
	Err      error    // what is wrong
}

func (e *Unusable) Error() string {
	return fmt.Sprintf("%v: %v; the last good log index is %d, index %d was durable; nothing was changed",
		ErrDataDir, e.Err, e.Last, e.Durable)
}

func (e *Unusable) Unwrap() []error { return []error{ErrDataDir, e.Err} }

// unusable tells all that can be found out about a directory with a fault.
func (d *Disk) unusable(fault error) error {
	e := &Unusable{Dir: d.dir, Err: fault}
	if d.mark != nil {
		e.Durable = d.mark.index
	}
	if d.found != nil {
		e.Identity, e.Last = d.found.identity, d.found.last()
	}
	if m := d.guessMembers(); m != nil {
		e.Members = m.sorted()
	}
	for _, name := range d.bodyNames() {
		if _, err := checkBodyFile(name); err == nil {
			e.Snapshot = name
			break
		}
	}
	return e
}

// guessMembers reads the membership from what is left: the newest snapshot
// that tells one, and the log. It may be old, or lack some; nil: nothing is
// known.
func (d *Disk) guessMembers() *membership {
	h := &bodyHeader{Membership: &membership{}}
	for _, name := range d.bodyNames() {
		if found, err := readHeaderFile(name); err == nil {
			h = found
			break
		}
	}
	r, err := newRoster(h, nil)
	if err != nil {
		return nil
	}
	if d.found != nil {
		for _, e := range d.found.log {
			if e.GetIndex() > h.Index && r.apply(e) != nil {
				break
			}
		}
	}
	if len(r.members.Members) == 0 {
		return nil
	}
	return r.members
}
