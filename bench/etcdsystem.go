package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"kvd/test/daemon"
)

// etcdSystem is a cluster of etcd, each member a process of this binary.
type etcdSystem struct {
	configs []etcdConfig
	members []*daemon.Process
	lead    int
}

func (s *etcdSystem) name() string { return systemEtcd }
func (s *etcdSystem) leader() int  { return s.lead }

func (s *etcdSystem) start(ctx context.Context, dir string, members int) error {
	dirs, err := memberDirs(dir, members)
	if err != nil {
		return err
	}
	s.configs, s.members = nil, nil
	var list []string
	for i := range members {
		client, err := daemon.FreePort()
		if err != nil {
			return err
		}
		peer, err := daemon.FreePort()
		if err != nil {
			return err
		}
		c := etcdConfig{
			Name: fmt.Sprintf("e%d", i+1), Dir: dirs[i], Client: fmt.Sprintf("127.0.0.1:%d", client), Peer: fmt.Sprintf("http://127.0.0.1:%d", peer),
		}
		s.configs = append(s.configs, c)
		list = append(list, c.Name+"="+c.Peer)
	}
	for i, c := range s.configs {
		c.Cluster = strings.Join(list, ",")
		s.configs[i] = c
		arg, err := json.Marshal(c)
		if err != nil {
			return err
		}
		p, err := self("etcd member "+c.Name, filepath.Join(dir, c.Name+".log"), etcdCommand, string(arg))
		if err != nil {
			return err
		}
		s.members = append(s.members, p)
		if err := p.Start(); err != nil {
			return err
		}
	}
	return s.settle(ctx)
}

func (s *etcdSystem) settle(ctx context.Context) error {
	c, err := dialEtcd(s.endpoints()...)
	if err != nil {
		return err
	}
	defer c.Close()
	return until(ctx, startLimit, "leader of etcd", func(ctx context.Context) error { return s.findLeader(ctx, c) })
}

// findLeader succeeds when all members name the same one, and read.
func (s *etcdSystem) findLeader(ctx context.Context, c *clientv3.Client) error {
	var id uint64
	for i, e := range s.endpoints() {
		if p := s.members[i]; !p.Running() {
			return &daemon.Ended{Member: p.Name, Code: p.ExitCode(), Tail: p.Tail(12)}
		}
		st, err := c.Status(ctx, e)
		if err != nil {
			return err
		}
		if st.Leader == 0 || i > 0 && st.Leader != id {
			return fmt.Errorf("%s says that %x leads, the one before said %x", s.configs[i].Name, st.Leader, id)
		}
		id = st.Leader
		if st.Leader == st.Header.MemberId {
			s.lead = i
		}
		one, err := dialEtcd(e)
		if err != nil {
			return err
		}
		_, err = one.Get(ctx, "none")
		_ = one.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *etcdSystem) endpoints() []string {
	var list []string
	for _, c := range s.configs {
		list = append(list, c.Client)
	}
	return list
}

func (s *etcdSystem) processes() []process {
	var list []process
	for _, m := range s.members {
		list = append(list, m)
	}
	return list
}
