package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	kvd "kvd/client"
	"kvd/test/daemon"
)

const (
	size     = 3
	readyIn  = 30 * time.Second
	restarts = 6 // of the last member, over the whole time
)

// execute runs the cluster and its load, and collects what is seen.
func execute(ctx context.Context, c config, progress io.Writer) (r *result, err error) {
	dir, err := os.MkdirTemp("", "soak-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var dirs, endpoints []string
	for i := range size {
		dirs = append(dirs, filepath.Join(dir, fmt.Sprint(i+1)))
	}
	// History and snapshots are small, so that both are flat long before the end.
	members, err := daemon.NewCluster(c.kvd, dir, dirs,
		"--history-revisions", "5000", "--history-age", "30s", "--snapshot-entries", "5000", "--snapshot-bytes", "16MiB")
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, m := range members {
			m.Kill()
		}
	}()
	for _, m := range members {
		if err := m.Start(); err != nil {
			return nil, err
		}
		endpoints = append(endpoints, m.ClientURL)
	}
	for _, m := range members {
		if err := m.WaitReady(ctx, readyIn); err != nil {
			return nil, err
		}
	}
	l, err := startLoad(endpoints, c.rate)
	if err != nil {
		return nil, err
	}
	defer l.stop()
	r = newResult(c)
	err = r.watch(ctx, members, l, progress)
	l.stop()
	r.operations, r.failed, r.faults = l.operations.Load(), l.failed.Load(), append(r.faults, l.faults...)
	if err == nil {
		err = r.last(ctx, endpoints)
	}
	r.finish()
	return r, err
}

// watch samples all members until the time is over, and restarts the last of them
// now and then.
func (r *result) watch(ctx context.Context, members []*daemon.Member, l *load, progress io.Writer) error {
	tick := time.NewTicker(r.config.every)
	defer tick.Stop()
	pause := r.config.duration / (restarts + 1)
	next := pause
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		at := time.Since(r.began)
		if at >= r.config.duration {
			return nil
		}
		for i, m := range members {
			s, err := take(ctx, m)
			if err != nil {
				return err
			}
			s.at, s.operations = at, l.operations.Load()
			r.samples[i] = append(r.samples[i], s)
		}
		if n%60 == 59 {
			fmt.Fprintf(progress, "soak: %v of %v, %d operations\n", at.Round(time.Second), r.config.duration, l.operations.Load())
		}
		if at >= next && next < r.config.duration {
			next += pause
			m := members[size-1]
			if code := m.Terminate(15 * time.Second); code != 0 {
				r.faults = append(r.faults, fmt.Sprintf("%s ended with exit code %d", m.Name(), code))
			}
			if err := m.StartReady(ctx, readyIn); err != nil {
				return err
			}
			r.started = append(r.started, time.Since(r.began))
		}
	}
}

// last compares the states of the members.
func (r *result) last(ctx context.Context, endpoints []string) error {
	c, err := kvd.New(kvd.Config{Endpoints: endpoints})
	if err != nil {
		return err
	}
	defer c.Close()
	v, err := c.Verify(ctx)
	if err != nil {
		r.faults = append(r.faults, fmt.Sprintf("verification: %v", err))
	} else if len(v.Missing) > 0 {
		r.faults = append(r.faults, fmt.Sprintf("members %v have told no state", v.Missing))
	}
	return nil
}
