package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// A member deletes what its snapshots make superfluous. The checks want all of it:
// every file of its log and every snapshot gets a second name beside the data
// directory, and whoever wants to read the log puts back what the member deleted.

// keepEvery is how often files are looked for. They stay for two snapshots at least.
const keepEvery = 250 * time.Millisecond

// Keep gives second names to the files of all members, again and again until ctx
// ends. An error is the first that means that files may have been lost.
func (c *Cluster) Keep(ctx context.Context) error {
	t := time.NewTicker(keepEvery)
	defer t.Stop()
	var first error
	for {
		c.mu.Lock()
		all := slices.Clone(c.started)
		c.mu.Unlock()
		for _, m := range all {
			if err := m.keep(); err != nil && first == nil {
				first = fmt.Errorf("keep the log of %s: %w", m.Name(), err)
			}
		}
		select {
		case <-ctx.Done():
			return first
		case <-t.C:
		}
	}
}

// kept is where the second names are.
func (m *Member) kept() string { return m.Dir + ".kept" }

// keep gives second names to the files that have none yet.
func (m *Member) keep() error {
	m.files.Lock()
	defer m.files.Unlock()
	if m.over {
		return nil
	}
	err := link(m.Dir, m.kept(), linkNew)
	// A disk may be full for a while, by a fault.
	if errors.Is(err, syscall.ENOSPC) {
		return nil
	}
	return err
}

// Part lets a file of a member that is down become another one, of the same content, so
// that damage to it leaves alone what is kept.
func (m *Member) Part(file string) error {
	if err := m.keep(); err != nil {
		return err
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".part", b, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".part", file)
}

// putBack lets the data directory have all that was ever in it, as it was before
// somebody damaged it. The member must have ended for good.
func (m *Member) putBack() error {
	m.files.Lock()
	defer m.files.Unlock()
	m.over = true
	return errors.Join(link(m.kept(), m.Dir, linkOver), os.RemoveAll(m.kept()))
}

// link gives the log and the snapshots of one directory names in another.
func link(from, to string, one func(from, to string) error) error {
	for _, pattern := range []string{"wal/*.wal", "snap/*.snap", "snap/*.snap.db"} {
		files, err := filepath.Glob(filepath.Join(from, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			name, err := filepath.Rel(from, file)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o700); err != nil {
				return err
			}
			if err := one(file, filepath.Join(to, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// linkNew leaves alone what has the name already. A file can have been deleted meanwhile.
func linkNew(from, to string) error {
	if err := os.Link(from, to); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// linkOver takes the name from what has it.
func linkOver(from, to string) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Link(from, to)
}

// DataDirs puts back what the members have deleted, and returns the data directories of
// all that ever belonged to the cluster. All processes must have ended.
func (c *Cluster) DataDirs() ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	dirs := slices.Clone(c.past)
	for _, m := range c.members {
		if err := m.putBack(); err != nil {
			return nil, err
		}
		dirs = append(dirs, m.Dir)
	}
	return dirs, nil
}
