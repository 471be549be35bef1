package main

import (
	"context"
	"errors"
	"fmt"
)

// errEndedEarly is what a part did that returned before it was asked to.
var errEndedEarly = errors.New("ended without being asked")

// stack runs parts that lean on one another. They are started from the bottom
// up and stopped from the top down, each joined before the next is asked.
type stack struct {
	parts  []*part
	failed chan *part // buffered for all: a part never waits to report
}

// part is one piece of a member that runs until its context ends.
type part struct {
	name   string
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when it has returned
	err    error         // valid after done
}

// newStack returns a stack for at most size parts.
func newStack(size int) *stack {
	return &stack{failed: make(chan *part, size)}
}

// start runs a part on top of those that run. Its context carries ctx's values
// and not its end: stop decides who ends when. run returns nil only after its
// context has ended.
func (s *stack) start(ctx context.Context, name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	p := &part{name: name, cancel: cancel, done: make(chan struct{})}
	s.parts = append(s.parts, p)
	go func() {
		defer close(p.done)
		p.err = run(ctx)
		if p.err == nil && ctx.Err() == nil {
			p.err = errEndedEarly
		}
		if p.err != nil {
			p.err = fmt.Errorf("%s: %w", name, p.err)
			s.failed <- p
		}
	}()
}

// wait runs f and returns nil when it has returned, or the part that failed
// before; f then goes on alone, and must end by itself.
func (s *stack) wait(f func()) *part {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return nil
	case p := <-s.failed:
		return p
	}
}

// stop ends all parts, the topmost first, and returns nil. A part that fails
// meanwhile cuts this short: stop returns its error and abandons the rest.
func (s *stack) stop(cause error) error {
	for len(s.parts) > 0 {
		top := s.parts[len(s.parts)-1]
		top.cancel(cause)
		select {
		case <-top.done:
			s.parts = s.parts[:len(s.parts)-1]
		case p := <-s.failed:
			s.abandon(p.err)
			return p.err
		}
	}
	select {
	case p := <-s.failed: // one that failed as it was stopped
		return p.err
	default:
		return nil
	}
}

// abandon asks all parts to end and waits for none.
func (s *stack) abandon(cause error) {
	for _, p := range s.parts {
		p.cancel(cause)
	}
}
