package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// maxMembersBytes bounds the answer of a peer that was asked for its members.
const maxMembersBytes = 1 << 20

// members is the answer to GET /raft/v1/members: peer URLs by id. It tells
// nothing that a client could not learn from the API, so it asks for no
// introduction; the cluster stands in a header.
type members struct {
	Members map[string]string `json:"members"`
}

// serveMembers tells who the members are, as far as they are in the set of
// SetPeers: what this member has only learned it does not spread.
func (t *Transport) serveMembers(v visit, w http.ResponseWriter, r *http.Request) error {
	t.mu.Lock()
	known := make(map[uint64]string, len(t.set)+1)
	for id, url := range t.set {
		known[id] = url
	}
	t.mu.Unlock()
	known[t.cfg.ID] = t.cfg.PeerURL
	answer := members{make(map[string]string, len(known))}
	for id, url := range known {
		if !v.recv.IsRemoved(id) {
			answer.Members[formatID(id)] = url
		}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(answer)
}

// askMembers asks one peer.
func (t *Transport) askMembers(ctx context.Context, p *peer) (map[uint64]string, error) {
	if p.urlErr != nil {
		return nil, p.urlErr
	}
	ctx, cancel := context.WithTimeout(ctx, t.cfg.DialTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.base.JoinPath(pathMembers).String(), nil)
	if err != nil {
		return nil, err
	}
	t.introduce(req.Header)
	req.Header.Set(headerTo, formatID(p.id))
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, t.refused(p, resp)
	}
	if !t.genuine(p, resp) {
		return nil, fmt.Errorf("answer of %q of cluster %q", resp.Header.Get(headerFrom), resp.Header.Get(headerCluster))
	}
	var answer members
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxMembersBytes)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("members: %w", err)
	}
	found := make(map[uint64]string, len(answer.Members))
	for s, url := range answer.Members {
		id, ok := parseID(s)
		if !ok {
			return nil, fmt.Errorf("members: id %s", quote(s))
		}
		if _, err := parsePeerURL(url); err != nil {
			return nil, fmt.Errorf("members: %w", err)
		}
		found[id] = url
	}
	return found, nil
}
