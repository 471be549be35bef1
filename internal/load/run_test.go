package load

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// script is a worker whose operations take the time that f sleeps.
type script struct {
	f      func(ctx context.Context, n int) (int, error)
	n      int
	closed *atomic.Int64
}

func (s *script) Do(ctx context.Context) (int, error) {
	s.n++
	return s.f(ctx, s.n)
}

func (s *script) Close() error {
	s.closed.Add(1)
	return nil
}

// run runs cfg in virtual time; each worker does f.
func run(t *testing.T, ctx context.Context, cfg Config, f func(ctx context.Context, n int) (int, error)) (*Result, error) {
	t.Helper()
	var closed atomic.Int64
	r, err := Run(ctx, cfg, func(context.Context, int) (Worker, error) { return &script{f: f, closed: &closed}, nil })
	if got := closed.Load(); got != int64(cfg.Workers) {
		t.Errorf("%d workers were closed, want %d", got, cfg.Workers)
	}
	return r, err
}

func sleeping(d time.Duration) func(context.Context, int) (int, error) {
	return func(context.Context, int) (int, error) {
		time.Sleep(d)
		return 0, nil
	}
}

// TestDuration: what is done in the warm-up does not count, and what counts has
// the length that was asked for.
func TestDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var began, ended time.Time
		start := time.Now()
		r, err := run(t, t.Context(), Config{
			Workers: 4, WarmUp: time.Second, Duration: 10 * time.Second,
			Began: func() { began = time.Now() }, Ended: func() { ended = time.Now() },
		}, func(_ context.Context, n int) (int, error) {
			if n == 1 { // of the warm-up
				time.Sleep(950 * time.Millisecond)
			} else {
				time.Sleep(100 * time.Millisecond) // the last ends at 10.95 s
			}
			return 0, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Elapsed != 10*time.Second || began.Sub(start) != time.Second || ended.Sub(start) != 11*time.Second {
			t.Errorf("it counted for %v, from %v to %v", r.Elapsed, began.Sub(start), ended.Sub(start))
		}
		if got := r.Operations(); got != 400 {
			t.Errorf("%d operations, want 400", got)
		}
		if got := r.Latency.Max(); got < 100*time.Millisecond || got > 101*time.Millisecond {
			t.Errorf("the longest took %v, want 100 ms", got)
		}
	})
}

// TestCount: so many operations begin and no more, also without a duration.
func TestCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := run(t, t.Context(), Config{Workers: 3, Count: 100}, sleeping(time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Operations(); got != 100 {
			t.Errorf("%d operations, want 100", got)
		}
	})
}

// TestDone: a worker that has nothing left to do ends, and the loop with the last.
func TestDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := run(t, t.Context(), Config{Workers: 3, Duration: time.Hour}, func(_ context.Context, n int) (int, error) {
			if n > 5 {
				return 0, ErrDone
			}
			time.Sleep(time.Second)
			return 0, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.Operations() != 15 || r.Failed != 0 || r.Elapsed != 5*time.Second {
			t.Errorf("%d operations, %d failed, in %v; want 15, none, 5 s", r.Operations(), r.Failed, r.Elapsed)
		}
	})
}

// TestFailures: failed operations are counted by what failed, are in no
// histogram, and make the worker wait.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := run(t, t.Context(), Config{Workers: 1, Count: 10, Classes: []string{"read", "write"}}, func(_ context.Context, n int) (int, error) {
			time.Sleep(time.Millisecond)
			switch {
			case n%5 == 0:
				return 1, errors.New("rare")
			case n%2 == 0:
				return 0, errors.New("frequent")
			}
			return 1, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := "6 of 10 operations failed: 4 × frequent; 2 × rare"; r.Complaint() != want {
			t.Errorf("complaint %q, want %q", r.Complaint(), want)
		}
		if got := r.Classes[0].Latency.Count(); got != 0 {
			t.Errorf("%d reads, want none", got)
		}
		if got := r.Classes[1].Latency.Count(); got != 4 || r.Operations() != 4 {
			t.Errorf("%d writes, %d operations, want 4", got, r.Operations())
		}
		if want := 10*time.Millisecond + 6*10*time.Millisecond; r.Elapsed != want {
			t.Errorf("it took %v, want %v", r.Elapsed, want)
		}
	})
}

// TestProgress: the reports together are the result.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reported, reports int64
		var elapsed time.Duration
		r, err := run(t, t.Context(), Config{
			Workers: 2, WarmUp: 1500 * time.Millisecond, Duration: 5500 * time.Millisecond,
			Progress: func(p Progress) {
				if p.At > 0 {
					reported += p.Latency.Count()
					elapsed += p.Elapsed
					reports++
				}
			},
		}, sleeping(10*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		// What counts is from 1.5 s to 7 s.
		if reports != 5 || elapsed != 5*time.Second {
			t.Errorf("%d reports over %v, want 5 over 5 s", reports, elapsed)
		}
		if rest := r.Operations() - reported; rest < 90 || rest > 110 {
			t.Errorf("%d operations were reported of %d, want all but those of half a second", reported, r.Operations())
		}
	})
}

// TestCancelled: the end of the context ends operations that hang, and what was
// measured until then is returned.
func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(3500*time.Millisecond, func() { cancel(cause) })
		r, err := run(t, ctx, Config{Workers: 2, Duration: time.Hour}, func(ctx context.Context, n int) (int, error) {
			if n <= 3 {
				time.Sleep(time.Second)
				return 0, nil
			}
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if !errors.Is(err, cause) {
			t.Errorf("error %v, want %v", err, cause)
		}
		if r.Operations() != 6 || r.Failed != 0 {
			t.Errorf("%d operations, %d failed; want 6 and none", r.Operations(), r.Failed)
		}
	})
}

// TestHanging: an operation that does not end is ended some time after the loop.
func TestHanging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r, err := run(t, t.Context(), Config{Workers: 2, Duration: time.Second}, func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != time.Second+defaultGrace || r.Elapsed != time.Second {
			t.Errorf("it ended after %v and counted %v", took, r.Elapsed)
		}
	})
}

// TestOpenFails: the workers that were made are closed, and none works.
func TestOpenFails(t *testing.T) {
	broken := errors.New("refused")
	var closed atomic.Int64
	_, err := Run(t.Context(), Config{Workers: 3, Duration: time.Hour}, func(_ context.Context, i int) (Worker, error) {
		if i == 2 {
			return nil, broken
		}
		return &script{closed: &closed}, nil
	})
	if !errors.Is(err, broken) || closed.Load() != 2 {
		t.Errorf("error %v with %d workers closed, want %v and 2", err, closed.Load(), broken)
	}
}

// TestConfig: nonsense is refused, all of it at once.
func TestConfig(t *testing.T) {
	_, err := Run(t.Context(), Config{Workers: 0, Duration: -1, Count: -1}, nil)
	want := "load: 0 workers\nwarm-up 0s, duration -1ns, progress every 1s: none may be negative\n-1 operations"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func BenchmarkRun(b *testing.B) {
	b.ReportAllocs()
	var closed atomic.Int64
	_, err := Run(b.Context(), Config{Workers: 1, Count: int64(b.N)}, func(context.Context, int) (Worker, error) {
		return &script{f: func(context.Context, int) (int, error) { return 0, nil }, closed: &closed}, nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
