package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// defaultGrace is how long operations that have begun may take to end when the
// measured time is over.
const defaultGrace = 5 * time.Second

// ErrDone is what Do returns when a worker has nothing left to do. It is no
// failure, and no operation.
var ErrDone = errors.New("load: nothing left to do")

// Worker is one client of the loop. One goroutine uses it.
type Worker interface {
	// Do does one operation and blocks until it is answered. class says what it
	// was, as an index of Config.Classes. An error means that it failed;
	// ErrDone, that there is none, and that the worker ends.
	Do(ctx context.Context) (class int, err error)

	// Close releases what the worker holds, once, after its last Do.
	Close() error
}

// Config says how much load there is and for how long.
type Config struct {
	// Workers is how many clients there are. Required.
	Workers int

	// Classes are the names of the kinds of operations, for results that tell
	// them apart. nil: there is one kind.
	Classes []string

	// WarmUp is how long the loop runs before anything counts; 0: not at all.
	WarmUp time.Duration

	// Duration is how long it counts; 0: until all workers are done, or Count
	// operations have been.
	Duration time.Duration

	// Count is how many operations begin, those of the warm-up among them; 0:
	// any number.
	Count int64

	// Pause is how long a worker waits after a failure, so that a server that
	// refuses is not asked as fast as it can refuse; 10 ms, negative: not at all.
	Pause time.Duration

	// Began and Ended, if not nil, are called when what counts begins and ends,
	// by the goroutine that called Run.
	Began, Ended func()

	// Progress, if not nil, is called every Every (1 s) by the goroutine that
	// called Run, with what was done since the last time.
	Progress func(Progress)
	Every    time.Duration
}

func (c Config) withDefaults() Config {
	if c.Classes == nil {
		c.Classes = []string{""}
	}
	if c.Every == 0 {
		c.Every = time.Second
	}
	if c.Pause == 0 {
		c.Pause = 10 * time.Millisecond
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.Workers < 1 {
		errs = append(errs, fmt.Errorf("%d workers", c.Workers))
	}
	if len(c.Classes) == 0 {
		errs = append(errs, errors.New("no classes"))
	}
	if c.WarmUp < 0 || c.Duration < 0 || c.Every < 0 {
		errs = append(errs, fmt.Errorf("warm-up %v, duration %v, progress every %v: none may be negative", c.WarmUp, c.Duration, c.Every))
	}
	if c.Count < 0 {
		errs = append(errs, fmt.Errorf("%d operations", c.Count))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}
