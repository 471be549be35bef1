package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	kvd "kvd/client"
	"kvd/test/daemon"
)

// kvdSystem is a cluster of kvd with the flags that it has by default.
type kvdSystem struct {
	binary string

	members []*daemon.Member
	lead    int
}

func (s *kvdSystem) name() string { return systemKvd }
func (s *kvdSystem) leader() int  { return s.lead }

func (s *kvdSystem) start(ctx context.Context, dir string, members int) error {
	dirs, err := memberDirs(dir, members)
	if err != nil {
		return err
	}
	if s.members, err = daemon.NewCluster(s.binary, dir, dirs); err != nil {
		return err
	}
	for i, m := range s.members {
		// A directory that is there already must have been used; kvd makes its own.
		m.Dir = filepath.Join(dirs[i], "data")
		if err := m.Start(); err != nil {
			return err
		}
	}
	return s.settle(ctx)
}

func (s *kvdSystem) settle(ctx context.Context) error {
	for _, m := range s.members {
		if err := m.WaitReady(ctx, startLimit); err != nil {
			return err
		}
	}
	return until(ctx, startLimit, "leader of kvd", s.findLeader)
}

// findLeader succeeds when all members name the same one, which then reads.
func (s *kvdSystem) findLeader(ctx context.Context) error {
	var id uint64
	for i, m := range s.members {
		c, err := kvd.New(kvd.Config{Endpoints: []string{m.ClientURL}, Timeout: time.Second})
		if err != nil {
			return err
		}
		defer c.Close()
		st, err := c.Status(ctx, m.ClientURL)
		if err != nil {
			return err
		}
		if st.Leader == 0 || i > 0 && st.Leader != id {
			return fmt.Errorf("%s says that %d leads, the one before said %d", m.Name(), st.Leader, id)
		}
		id = st.Leader
		if _, err := c.Count(ctx, &kvd.ListOptions{Prefix: "none/"}); err != nil {
			return err
		}
	}
	s.lead = int(id - 1)
	return nil
}

func (s *kvdSystem) endpoints() []string {
	var list []string
	for _, m := range s.members {
		list = append(list, strings.TrimPrefix(m.ClientURL, "http://"))
	}
	return list
}

func (s *kvdSystem) processes() []process {
	var list []process
	for _, m := range s.members {
		list = append(list, m)
	}
	return list
}
