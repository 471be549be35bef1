package fault

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"kvd/test/chaos/cluster"
)

func killOne(w *Wound) error {
	ms, err := w.pick(1)
	if err != nil {
		return err
	}
	return w.kill(ms...)
}

func killLeader(w *Wound) error {
	l, err := w.leader()
	if err != nil {
		return err
	}
	return w.kill(l)
}

func killMajority(w *Wound) error {
	ms, err := w.pick(len(w.c.Members())/2 + 1)
	if err != nil {
		return err
	}
	return w.kill(ms...)
}

func killAll(w *Wound) error { return w.kill(w.c.Members()...) }

// kill ends processes as kill -9 does, all at once.
func (w *Wound) kill(ms ...*cluster.Member) error {
	w.struck(ms...)
	for _, m := range ms {
		w.undo = append(w.undo, m.Start)
		m.Process().Signal(syscall.SIGKILL)
	}
	for _, m := range ms {
		code, signal, err := m.Process().Exit(w.ctx, 10*time.Second)
		if err != nil {
			return err
		}
		if signal != syscall.SIGKILL {
			w.broken("%s ended by itself with code %d (%v)", m.Name(), code, signal)
			return fmt.Errorf("%s did not die of SIGKILL", m.Name())
		}
		w.shown("%s (pid %d) died of SIGKILL", m.Name(), m.Process().PID())
	}
	return nil
}

// terminate stops a member as an operator does.
func terminate(w *Wound) error {
	m, err := w.one()
	if err != nil {
		return err
	}
	w.struck(m)
	w.undo = append(w.undo, m.Start)
	return w.term(m)
}

// term ends a process by SIGTERM, which it must answer with exit code 0.
func (w *Wound) term(m *cluster.Member) error {
	p, began := m.Process(), time.Now()
	p.Signal(syscall.SIGTERM)
	code, signal, err := p.Exit(w.ctx, 30*time.Second)
	if err != nil {
		w.broken("SIGTERM: %v", err)
		p.Signal(syscall.SIGKILL)
		return err
	}
	if code != 0 {
		w.broken("%s ended with code %d (%v) after SIGTERM, want 0", m.Name(), code, signal)
	}
	w.shown("%s ended with code %d, %v after SIGTERM", m.Name(), code, time.Since(began).Round(time.Millisecond))
	return nil
}

// freeze stops a process for a while, without its knowledge.
func freeze(w *Wound) error {
	m, err := w.one()
	if err != nil {
		return err
	}
	w.struck(m)
	w.hold = w.between(time.Second, 6*time.Second)
	if w.rng.IntN(4) == 0 {
		w.hold = w.between(6*time.Second, 15*time.Second)
	}
	w.detail("%.1f s", w.hold.Seconds())
	p := m.Process()
	p.Signal(syscall.SIGSTOP)
	w.undo = append(w.undo, func() error {
		p.Signal(syscall.SIGCONT)
		return nil
	})
	return cluster.Poll(w.ctx, 5*time.Second, func() error {
		state, err := p.State()
		if err == nil && state != "T" {
			err = fmt.Errorf("%s has the state %s, want T", m.Name(), state)
		}
		if err == nil {
			w.shown("%s (pid %d) has the state %s", m.Name(), p.PID(), state)
		}
		return err
	})
}

// rollingRestart restarts one member after the other.
func rollingRestart(w *Wound) error {
	w.hold = 0
	ms := w.c.Members()
	w.struck(ms...)
	for _, m := range ms {
		err := w.term(m)
		if err := errors.Join(err, m.Start()); err != nil {
			return err
		}
		// The other fault of the moment may stand in the way.
		patience := 20 * time.Second
		if !w.alone {
			patience = 4 * time.Second
		}
		if err := m.WaitReady(w.ctx, patience); err != nil && w.alone {
			w.broken("after a restart: %v", err)
		}
	}
	return nil
}
