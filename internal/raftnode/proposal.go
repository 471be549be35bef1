package raftnode

import (
	"sync"
	"sync/atomic"
)

// The states of a proposal. Only the caller withdraws, only the loop takes;
// whoever comes first decides whether "not applied" can be promised.
const (
	waiting   = iota // in a mailbox or in the open batch
	taken            // in an entry, or on its way to the leader
	withdrawn        // its caller has gone; it is never proposed
	abandoned        // its caller has gone while it was taken: withdrawn should it come back
)

// proposal is one command and whoever waits for its result.
type proposal[R any] struct {
	cmd   []byte
	hop   bool // came from another member: is never sent on
	state atomic.Uint32
	group *proposalGroup // set instead of done when several wait as one
	done  chan struct{}  // receives one token when res and err are set

	res R
	err error
}

// proposalGroup is done when the last of its proposals is.
type proposalGroup struct {
	left atomic.Int64
	done chan struct{}
}

func (p *proposal[R]) take() bool {
	return p.state.CompareAndSwap(waiting, taken)
}

// giveBack undoes take for a command that surely did not get anywhere. One that
// nobody waits for any more ends here: it must not be proposed minutes later.
func (p *proposal[R]) giveBack() {
	if !p.state.CompareAndSwap(taken, waiting) {
		p.state.Store(withdrawn)
	}
}

// withdraw tells that the caller goes; false: the command is under way.
func (p *proposal[R]) withdraw() bool {
	for {
		switch s := p.state.Load(); s {
		case waiting:
			if p.state.CompareAndSwap(s, withdrawn) {
				return true
			}
		case taken:
			if p.state.CompareAndSwap(s, abandoned) {
				return false
			}
		default:
			return s == withdrawn
		}
	}
}

func (p *proposal[R]) finish(res R, err error) {
	p.res, p.err = res, err
	if p.group == nil {
		p.done <- struct{}{}
	} else if p.group.left.Add(-1) == 0 {
		close(p.group.done)
	}
}

func (p *proposal[R]) fail(err error) {
	var none R
	p.finish(none, err)
}

// entry in flight: proposed here, and neither applied nor known to be lost.
type inFlight[R any] struct {
	id    entryID
	index uint64 // 0 until raft has placed it
	props []*proposal[R]
	// done receives the outcome of a membership change (cap 1); nil for commands.
	done chan error
}

func (f *inFlight[R]) fail(err error) {
	for _, p := range f.props {
		p.fail(err)
	}
	if f.done != nil {
		f.done <- err
	}
}

// inFlightSet holds what this member proposed, for apply to resolve. There are
// only ever a few: lists beat maps.
type inFlightSet[R any] struct {
	mu   sync.Mutex
	list []*inFlight[R]
}

func (s *inFlightSet[R]) add(f *inFlight[R]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, f)
}

// place notes where raft has put an entry, and reports whether it is known.
func (s *inFlightSet[R]) place(id entryID, index uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.list {
		if f.id == id {
			f.index = index
			return true
		}
	}
	return false
}

// take removes and returns the entry with this id, or nil.
func (s *inFlightSet[R]) take(id entryID) *inFlight[R] {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.list {
		if f.id == id {
			s.list = append(s.list[:i], s.list[i+1:]...)
			return f
		}
	}
	return nil
}

// takeUpTo removes and returns all entries placed at or below index.
func (s *inFlightSet[R]) takeUpTo(index uint64) []*inFlight[R] {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*inFlight[R]
	kept := s.list[:0]
	for _, f := range s.list {
		if f.index != 0 && f.index <= index {
			out = append(out, f)
		} else {
			kept = append(kept, f)
		}
	}
	clear(s.list[len(kept):])
	s.list = kept
	return out
}

func (s *inFlightSet[R]) takeAll() []*inFlight[R] {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.list
	s.list = nil
	return out
}
