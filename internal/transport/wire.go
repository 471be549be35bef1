package transport

import (
	"fmt"
	"net/http"
	"strconv"
)

// Paths, headers and kinds of connection. The protocol version is raised when
// a member of the version before would misunderstand.
const (
	pathStream   = "/raft/v1/stream"
	pathSnapshot = "/raft/v1/snapshot"
	pathMembers  = "/raft/v1/members"

	protocolVersion = "1"
	upgradeToken    = "kvd-raft/1"

	headerProtocol = "Kvd-Protocol"
	headerCluster  = "Kvd-Cluster"
	headerFrom     = "Kvd-From"
	headerTo       = "Kvd-To"
	headerKind     = "Kvd-Kind"

	kindAppend  = "append"
	kindControl = "control"
	kindForward = "forward"
)

// Texts that answers of refusal begin with.
const (
	textClusterMismatch = "cluster_id_mismatch"
	textRemoved         = "removed"
)

func formatCluster(id uint64) string { return fmt.Sprintf("%016x", id) }

func formatID(id uint64) string { return strconv.FormatUint(id, 10) }

func parseID(s string) (uint64, bool) {
	id, err := strconv.ParseUint(s, 10, 64)
	return id, err == nil && id != 0 && !isLocalTarget(id)
}

// introduce sets the headers that every message between members carries, in
// requests and in answers.
func (t *Transport) introduce(h http.Header) {
	h.Set(headerProtocol, protocolVersion)
	h.Set(headerCluster, formatCluster(t.cfg.ClusterID))
	h.Set(headerFrom, formatID(t.cfg.ID))
}

// refusal is the answer of a peer, or of what was taken for it, that does not
// want to talk.
type refusal struct {
	status int
	text   string
	// genuine says that it came from the peer that was asked, and that this
	// peer belongs to the same cluster.
	genuine bool
}

func (r *refusal) Error() string {
	return fmt.Sprintf("refused with %d: %s", r.status, r.text)
}

// lasting says that trying again soon is of no use.
func (r *refusal) lasting() bool {
	switch r.status {
	case http.StatusGone, http.StatusPreconditionFailed, http.StatusUpgradeRequired:
		return true
	}
	return false
}
