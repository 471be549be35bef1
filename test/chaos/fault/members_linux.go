package fault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"kvd/test/chaos/cluster"
)

// changeMembers changes who is a member, and leaves as many as there were. It
// goes on beside the other fault of the moment, and has until a while after the
// healing to be done.
func changeMembers(w *Wound) error {
	leave, err := w.one()
	if err != nil {
		return err
	}
	// Whoever leaves shows nobody the way in.
	ways := slices.DeleteFunc(w.free(), func(m *cluster.Member) bool { return m == leave })
	if len(ways) == 0 {
		return errors.New("no member is left to join through")
	}
	join, err := w.c.Join(ways[w.rng.IntN(len(ways))])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(w.ctx)
	c := &change{ctx: ctx, c: w.c, join: join, leave: leave}
	variants := []struct {
		name string
		run  func() error
	}{
		{"a learner is added and promoted, a member removed", c.promote},
		{"a learner is added and removed", c.visit},
		{"a member is replaced", c.replace},
		{"a member is removed, another joins", c.exchange},
	}
	v := variants[w.rng.IntN(len(variants))]
	w.detail("%s", v.name)
	w.struck(leave)
	done := make(chan error, 1)
	go func() { done <- v.run() }()
	w.finish = append(w.finish, func() error {
		defer cancel()
		limit := time.NewTimer(60 * time.Second)
		defer limit.Stop()
		var err error
		select {
		case err = <-done:
		case <-limit.C:
			cancel()
			err = errors.Join(errors.New("not done 60 s after all faults were healed"), <-done)
		}
		w.Changes += c.changes
		w.Broken = append(w.Broken, c.broken...)
		if err != nil && w.ctx.Err() == nil {
			w.broken("%s: %v", v.name, err)
		}
		if len(c.told) > 0 {
			w.shown("%s", strings.Join(c.told, ", "))
		}
		return err
	})
	return nil
}

// change is one change of the members. It belongs to the goroutine that carries
// it out, until that is done.
type change struct {
	ctx         context.Context
	c           *cluster.Cluster
	join, leave *cluster.Member

	changes int
	told    []string
	broken  []string
}

func (c *change) did(format string, args ...any) {
	c.changes++
	c.told = append(c.told, fmt.Sprintf(format, args...))
}

func (c *change) promote() error {
	return inTurn(func() error { return c.add(false) }, func() error { return c.vote(true) }, func() error { return c.remove(c.leave) })
}

func (c *change) visit() error {
	return inTurn(func() error { return c.add(false) }, func() error { return c.remove(c.join) })
}

func (c *change) exchange() error {
	return inTurn(func() error { return c.remove(c.leave) }, func() error { return c.add(true) }, func() error { return c.vote(false) })
}

func inTurn(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// add makes the newcomer a learner, and starts it.
func (c *change) add(promote bool) error {
	m := c.join
	body := fmt.Sprintf(`{"id":%d,"peer_url":%q,"client_url":%q,"auto_promote":%v}`, m.ID(), m.PeerURL(), m.URL(), promote)
	// 409: an attempt before this one did it, and its answer was lost.
	if _, err := c.c.Ask(c.ctx, time.Minute, http.MethodPost, "/v1/members", body, http.StatusCreated, http.StatusConflict); err != nil {
		return err
	}
	if err := c.await(m.ID(), 0); err != nil {
		return err
	}
	c.did("%s became a learner", m.Name())
	if err := c.start(m); err != nil {
		return err
	}
	c.c.Admit(m)
	return nil
}

// start starts a newcomer until it is ready: the member through which it joins
// may be out of reach.
func (c *change) start(m *cluster.Member) error {
	return cluster.Poll(c.ctx, time.Minute, func() error {
		if err := m.Start(); err != nil {
			return err
		}
		return m.WaitReady(c.ctx, 20*time.Second)
	})
}

// vote waits until the newcomer is a voter, and asks for it if it must.
func (c *change) vote(ask bool) error {
	m := c.join
	err := cluster.Poll(c.ctx, time.Minute, func() error {
		s, err := c.view()
		if err != nil {
			return err
		}
		if slices.Contains(s.Voters, m.ID()) {
			return nil
		}
		if ask {
			_, err := c.c.Ask(c.ctx, 5*time.Second, http.MethodPost, fmt.Sprintf("/v1/members/%d/promote", m.ID()), "", http.StatusOK)
			return errors.Join(fmt.Errorf("%s is no voter yet", m.Name()), err)
		}
		return fmt.Errorf("%s is no voter yet: %v, learners %v", m.Name(), s.Voters, s.Learners)
	})
	if err == nil {
		c.did("%s became a voter", m.Name())
	}
	return err
}

// remove takes a member out. Its process ends with exit code 5.
func (c *change) remove(m *cluster.Member) error {
	if _, err := c.c.Ask(c.ctx, time.Minute, http.MethodDelete, fmt.Sprintf("/v1/members/%d", m.ID()), "", http.StatusNoContent, http.StatusNotFound, http.StatusGone); err != nil {
		return err
	}
	if err := c.await(0, m.ID()); err != nil {
		return err
	}
	c.did("%s was removed", m.Name())
	return c.gone(m)
}

// gone waits for the end of a member that was removed, and forgets it.
func (c *change) gone(m *cluster.Member) error {
	code, signal, err := m.Process().Exit(c.ctx, 30*time.Second)
	if err != nil || code != 5 {
		c.broken = append(c.broken, fmt.Sprintf("%s was removed: exit code %d (%v, %v), want 5", m.Name(), code, signal, err))
	}
	return c.c.Dismiss(c.ctx, m)
}

// replace lets the cluster swap a member for the newcomer in one joint change.
func (c *change) replace() error {
	m := c.join
	body := fmt.Sprintf(`{"remove":%d,"add":{"id":%d,"peer_url":%q,"client_url":%q}}`, c.leave.ID(), m.ID(), m.PeerURL(), m.URL())
	if _, err := c.c.Ask(c.ctx, time.Minute, http.MethodPost, "/v1/members/replace?timeout=100ms", body,
		http.StatusOK, http.StatusAccepted, http.StatusConflict); err != nil {
		return err
	}
	if err := c.start(m); err != nil {
		return err
	}
	c.c.Admit(m)
	if err := c.await(m.ID(), c.leave.ID()); err != nil {
		return err
	}
	c.did("%s took the place of %s", m.Name(), c.leave.Name())
	return c.gone(c.leave)
}

// await waits until the leader counts one member and does not count another; 0
// is nobody.
func (c *change) await(in, out uint64) error {
	return cluster.Poll(c.ctx, time.Minute, func() error {
		s, err := c.view()
		if err != nil {
			return err
		}
		all := slices.Concat(s.Voters, s.Learners)
		if in != 0 && !slices.Contains(all, in) || out != 0 && slices.Contains(all, out) {
			return fmt.Errorf("members %v, want %d in and %d out", all, in, out)
		}
		return nil
	})
}

// view is how the leader sees the cluster.
func (c *change) view() (cluster.Status, error) {
	l, err := c.c.Leader(c.ctx)
	if err != nil {
		return cluster.Status{}, err
	}
	return l.Status(c.ctx)
}
