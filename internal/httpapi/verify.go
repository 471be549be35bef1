package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Verifier compares the states of the members.
type Verifier interface {
	// Verify compares them now, and blocks until the members that answer have
	// told their hashes. That one has diverged is no error.
	Verify(ctx context.Context) (Verification, error)
	// LastVerification is the last one that this member knows of, at once.
	// False: there was none.
	LastVerification() (Verification, bool)
}

// Verification is what a comparison of the members' states has shown.
type Verification struct {
	Index    uint64            // at which they were compared
	At       time.Time         // when
	Hashes   map[uint64]uint64 // by member
	Missing  []uint64          // members that told none
	Diverged []uint64          // members whose state is not the others'
}

// verificationJSON is a verification in JSON; of a problem as well.
type verificationJSON struct {
	Index    uint64              `json:"index"`
	Checked  Duration            `json:"checked"` // how long ago
	Hashes   map[uint64]hashText `json:"hashes"`
	Missing  []uint64            `json:"missing"`
	Diverged []uint64            `json:"diverged"`
}

// hashText is shown as 16 hexadecimal digits, as ClusterID is.
type hashText = ClusterID

func newVerificationJSON(v *Verification) *verificationJSON {
	j := &verificationJSON{
		Index:   v.Index,
		Checked: Duration(max(time.Since(v.At), 0).Truncate(time.Millisecond)),
		Hashes:  make(map[uint64]hashText, len(v.Hashes)),
		Missing: listed(v.Missing), Diverged: listed(v.Diverged),
	}
	for id, hash := range v.Hashes {
		j.Hashes[id] = hashText(hash)
	}
	return j
}

// verify serves POST /v1/verify.
func (h *Handler) verify(w http.ResponseWriter, r *http.Request) (int, error) {
	if err := refuseIdempotencyKey(r.Header, repeatsHarmlessly); err != nil {
		return 0, err
	}
	p, err := parseParams(r.URL.RawQuery, paramTimeout)
	if err != nil {
		return 0, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	v, err := h.cfg.Verifier.Verify(ctx)
	if err != nil {
		// It changes no data: there is no outcome that could be unknown.
		return 0, lateFault(err, "not all that is needed for it was told in time")
	}
	return writeVerification(w, r, &v)
}

// lastVerification serves GET /v1/verify, which asks nobody.
func (h *Handler) lastVerification(w http.ResponseWriter, r *http.Request) (int, error) {
	if _, err := parseParams(r.URL.RawQuery, 0); err != nil {
		return 0, err
	}
	v, known := h.cfg.Verifier.LastVerification()
	if !known {
		return 0, &fault{cause: errNotFound, detail: "no verification is known here yet"}
	}
	return writeVerification(w, r, &v)
}

// writeVerification answers with what was found: a problem where members have
// diverged.
func writeVerification(w http.ResponseWriter, r *http.Request, v *Verification) (int, error) {
	j := newVerificationJSON(v)
	if len(v.Diverged) > 0 {
		return 0, &fault{cause: errStatesDiffer, detail: "members whose state is not the others': " + joinIDs(v.Diverged), verification: j}
	}
	writeJSON(w, r, http.StatusOK, jsonType, j)
	return http.StatusOK, nil
}

// joinIDs is a list of ids for people.
func joinIDs(ids []uint64) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.FormatUint(id, 10)
	}
	return strings.Join(texts, ", ")
}
