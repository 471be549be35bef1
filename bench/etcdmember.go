package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// etcdCommand is the hidden command that is one member of etcd.
const etcdCommand = "etcd-member"

// etcdQuota replaces etcd's own limit of 2 GiB, which a long run with its
// history reaches.
const etcdQuota = 8 << 30

// etcdConfig is what one member differs in from the others.
type etcdConfig struct {
	Name    string `json:"name"`
	Dir     string `json:"dir"`
	Client  string `json:"client"`  // host:port
	Peer    string `json:"peer"`    // URL
	Cluster string `json:"cluster"` // name=URL,…
}

func newEtcdCommand() *cobra.Command {
	return &cobra.Command{
		Use:    etcdCommand + " CONFIG",
		Short:  "Be one member of etcd",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var c etcdConfig
			if err := json.Unmarshal([]byte(args[0]), &c); err != nil {
				return err
			}
			cfg, err := c.embed()
			if err != nil {
				return err
			}
			e, err := embed.StartEtcd(cfg)
			if err != nil {
				return fmt.Errorf("start etcd: %w", err)
			}
			defer e.Close()
			select {
			case <-cmd.Context().Done():
				return nil
			case <-e.Server.StopNotify():
				return errors.New("etcd stopped by itself")
			case err := <-e.Err():
				return fmt.Errorf("etcd: %w", err)
			}
		},
	}
}

// embed returns etcd's own defaults, but for addresses, the level of the log and
// the quota.
func (c *etcdConfig) embed() (*embed.Config, error) {
	client, err := url.Parse("http://" + c.Client)
	if err != nil {
		return nil, err
	}
	peer, err := url.Parse(c.Peer)
	if err != nil {
		return nil, err
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialCluster = c.Name, c.Dir, c.Cluster
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	cfg.LogLevel = "warn"
	cfg.QuotaBackendBytes = etcdQuota
	return cfg, nil
}
