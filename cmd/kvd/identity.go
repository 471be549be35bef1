package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"kvd/internal/raftnode"
)

// joinCheckTimeout bounds the question to --join's URL when the data directory
// already says who this member is. Nobody has to answer it.
const joinCheckTimeout = time.Second

// checkOwner refuses a data directory that belongs to another member than the
// one the flags ask for: it holds a vote and a log that only its owner may use.
func checkOwner(cfg *config, owner raftnode.Identity, begin *founding) error {
	var differs, remedies []string
	if cfg.claimsID() && cfg.ID != owner.Member {
		differs = append(differs, fmt.Sprintf("%s asks for member %d", cfg.flag("id"), cfg.ID))
		remedies = append(remedies, fmt.Sprintf("--id %d", owner.Member))
	}
	if cfg.given["name"] && cfg.Name != owner.Name {
		differs = append(differs, fmt.Sprintf("%s asks for %s", cfg.flag("name"), cfg.Name))
		remedies = append(remedies, "--name "+owner.Name)
	}
	switch {
	case len(cfg.founders) == 0:
	case begin == nil:
		differs = append(differs, fmt.Sprintf("%s founds a cluster, and this member was no founder", cfg.flag("cluster")))
		remedies = append(remedies, "no --cluster")
	case !begin.knows(cfg.founders):
		differs = append(differs, fmt.Sprintf("%s is not the list that it was founded with, %s", cfg.flag("cluster"), formatFounders(begin.Founders)))
		remedies = append(remedies, "that list (or no --cluster)")
	}
	if len(differs) == 0 {
		return nil
	}
	return foreignDirectory(cfg, owner, strings.Join(differs, " and "), strings.Join(remedies, " and "))
}

// checkJoined refuses a data directory of another cluster than the one that
// --join names, if that one answers. Otherwise --join has done its work long
// ago, so that a member restarts with the flags it began with; what it can
// still tell are the peers of a member that has not yet learned of any.
func checkJoined(ctx context.Context, cfg *config, owner raftnode.Identity) (seeds map[uint64]string, err error) {
	ctx, cancel := context.WithTimeout(ctx, joinCheckTimeout)
	defer cancel()
	client := newJoinClient(cfg.Join)
	cluster, err := client.status(ctx)
	if err != nil {
		return nil, nil
	}
	if cluster != owner.Cluster {
		return nil, foreignDirectory(cfg, owner, fmt.Sprintf("%s %s is cluster %s", cfg.flag("join"), cfg.Join, formatClusterID(cluster)), "the URL of its own cluster (or no --join)")
	}
	members, err := client.members(ctx)
	if err != nil {
		return nil, nil
	}
	seeds = map[uint64]string{}
	for _, m := range members {
		if m.ID != owner.Member {
			seeds[m.ID] = m.PeerURL
		}
	}
	return seeds, nil
}

func foreignDirectory(cfg *config, owner raftnode.Identity, but, remedy string) error {
	return exitWith(exitDataDir, "data directory %s belongs to member %d (%s) of cluster %s, but %s; start it with %s, or use another --data-dir",
		cfg.DataDir, owner.Member, owner.Name, formatClusterID(owner.Cluster), but, remedy)
}
