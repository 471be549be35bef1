package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Between attempts to join: from joinBackoffMin, doubling up to
// joinBackoffMax, and a random half of it, so that members started together
// do not keep asking together.
const (
	joinBackoffMin = 200 * time.Millisecond
	joinBackoffMax = 5 * time.Second
)

// place is a member's place in a cluster that runs.
type place struct {
	cluster uint64
	member  uint64
	seeds   map[uint64]string // the other members' peer URLs, by id
}

// join finds or makes this member's place in the cluster that cfg.Join belongs
// to. It tries until ctx ends, except where trying again cannot help: those
// errors carry their exit code. cfg must be settled. Nothing is written to
// disk: a member that dies here finds its place again by its peer URL.
func join(ctx context.Context, cfg *config, lg *zap.Logger) (place, error) {
	client := newJoinClient(cfg.Join)
	for backoff := joinBackoffMin; ; backoff = min(2*backoff, joinBackoffMax) {
		p, err := findPlace(ctx, cfg, client)
		if err == nil {
			return p, nil
		}
		if ctx.Err() != nil {
			return place{}, context.Cause(ctx)
		}
		if err := finalJoinError(cfg, err); err != nil {
			return place{}, err
		}
		lg.Warn("cluster not reached, will try again", zap.String("join", cfg.Join), zap.Error(err))
		select {
		case <-ctx.Done():
			return place{}, context.Cause(ctx)
		case <-time.After(backoff/2 + rand.N(backoff/2)):
		}
	}
}

// findPlace is one attempt.
func findPlace(ctx context.Context, cfg *config, client *joinClient) (place, error) {
	p := place{seeds: map[uint64]string{}}
	var err error
	if p.cluster, err = client.status(ctx); err != nil {
		return place{}, err
	}
	members, err := client.members(ctx)
	if err != nil {
		return place{}, err
	}
	for _, m := range members {
		if m.PeerURL == "" {
			return place{}, fmt.Errorf("member %d has not told yet where it is found", m.ID)
		}
		if !sameURL(m.PeerURL, cfg.AdvertisePeer) {
			p.seeds[m.ID] = m.PeerURL
			if cfg.claimsID() && m.ID == cfg.ID {
				return place{}, usageError("%s: %d is the id of %s; choose another, or leave it out", cfg.flag("id"), cfg.ID, m.PeerURL)
			}
			continue
		}
		if err := mayTake(cfg, p.cluster, m); err != nil {
			return place{}, err
		}
		p.member = m.ID
	}
	if p.member != 0 {
		return p, nil
	}
	asked := newMemberDocument{Name: cfg.Name, PeerURL: cfg.AdvertisePeer, ClientURL: cfg.AdvertiseClient, AutoPromote: true}
	if cfg.claimsID() {
		asked.ID = cfg.ID
	}
	added, err := client.add(ctx, asked)
	if err != nil {
		return place{}, err
	}
	if p.member = added.ID; p.member == 0 {
		return place{}, errors.New("the answer to the new member has no id")
	}
	return p, nil
}

// mayTake refuses the place that the cluster has under this member's URL when
// it is not for us. A member that has run has a log and a vote: to begin again
// under its id with an empty directory could undo what it acknowledged.
func mayTake(cfg *config, cluster uint64, m memberDocument) error {
	if cfg.claimsID() && cfg.ID != m.ID {
		return usageError("%s: %d is not the id of %s, which the cluster has as member %d; use --id %d or leave it out",
			cfg.flag("id"), cfg.ID, cfg.AdvertisePeer, m.ID, m.ID)
	}
	if m.Started {
		return exitWith(exitDataDir, "member %d of cluster %s has already run with another data directory; use that one, or remove the member and join under a new id: curl -X DELETE %s/v1/members/%d, then start again with --join and without --id",
			m.ID, formatClusterID(cluster), cfg.Join, m.ID)
	}
	return nil
}

// finalJoinError returns nil for what may pass (nobody answers, no leader,
// another change under way), and otherwise the error to end with.
func finalJoinError(cfg *config, err error) error {
	if _, ok := errors.AsType[*exitError](err); ok {
		return err
	}
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		return nil
	}
	switch {
	case e.Code == "id_removed":
		return usageError("%s: %d was removed from the cluster and ids are used once; choose another, or leave it out", cfg.flag("id"), cfg.ID)
	case e.Status == http.StatusConflict:
		// Another change is under way, or our own from an attempt whose answer
		// was lost has just come through ("exists"): the list will show it.
		return nil
	case e.Status >= 500, e.Status == http.StatusTooManyRequests, e.Status == http.StatusRequestTimeout:
		return nil
	default:
		return usageError("%s: %s %w; use the client URL of a member of the cluster", cfg.flag("join"), cfg.Join, e)
	}
}

// sameURL compares what somebody wrote with a URL of parseURL.
func sameURL(written, parsed string) bool {
	u, err := parseURL(written)
	return written == parsed || err == nil && u == parsed
}

// parseClusterID reads a cluster id as kvd shows it, 16 hexadecimal digits.
func parseClusterID(s string) (uint64, error) {
	var id uint64
	if n, err := fmt.Sscanf(s, "%16x", &id); n != 1 || err != nil || id == 0 || formatClusterID(id) != s {
		return 0, &apiError{Status: http.StatusOK, Detail: fmt.Sprintf("cluster id %q is not one of kvd's", s)}
	}
	return id, nil
}

// formatClusterID writes a cluster id as kvd shows it.
func formatClusterID(id uint64) string { return fmt.Sprintf("%016x", id) }
