package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// ErrNoSnapshot is the answer where no snapshot was taken yet.
var ErrNoSnapshot = errors.New("no snapshot")

// Snapshots are the files of this member's own snapshots.
type Snapshots interface {
	// TakeSnapshot takes one of what is applied here now, and blocks until it is
	// durable. When ctx ends before, it may still be written.
	TakeSnapshot(ctx context.Context) (SnapshotInfo, error)
	// OpenSnapshot opens the newest, at once. It can be read to its end even if
	// it is purged meanwhile; closing it is the caller's. ErrNoSnapshot: there is
	// none.
	OpenSnapshot() (SnapshotInfo, io.ReadSeekCloser, error)
}

// SnapshotInfo names a snapshot: no two have the same index and term.
type SnapshotInfo struct {
	Index    uint64 `json:"index"`
	Term     uint64 `json:"term"`
	Revision uint64 `json:"revision"` // of the store; 0: not known
	Size     int64  `json:"size_bytes"`
}

const (
	snapshotsPath      = "/v1/snapshots"
	latestSnapshotPath = snapshotsPath + "/latest"
)

// tag is the entity tag of the snapshot's file.
func (s *SnapshotInfo) tag() string {
	return `"` + strconv.FormatUint(s.Index, 10) + "-" + strconv.FormatUint(s.Term, 10) + `"`
}

// filename is what a browser or curl -J saves the file as.
func (s *SnapshotInfo) filename() string {
	return "kvd-" + strconv.FormatUint(s.Index, 10) + "-" + strconv.FormatUint(s.Term, 10) + ".snap"
}

// takeSnapshot serves POST /v1/snapshots.
func (h *Handler) takeSnapshot(w http.ResponseWriter, r *http.Request) (int, error) {
	if err := refuseIdempotencyKey(r.Header, repeatsHarmlessly); err != nil {
		return 0, err
	}
	p, err := parseParams(r.URL.RawQuery, paramTimeout)
	if err != nil {
		return 0, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	info, err := h.cfg.Snapshots.TakeSnapshot(ctx)
	if err != nil {
		return 0, err
	}
	header := w.Header()
	header["Location"] = []string{latestSnapshotPath}
	header["Etag"] = []string{info.tag()}
	if info.Revision > 0 {
		header["Kvd-Revision"] = []string{strconv.FormatUint(info.Revision, 10)}
	}
	writeJSON(w, r, http.StatusCreated, jsonType, &info)
	return http.StatusCreated, nil
}

// getSnapshot serves GET and HEAD of the newest snapshot's file. Ranges and
// conditions are http.ServeContent's affair.
//
// Content-Digest is of the bytes of one answer, so it stands only where these
// are the whole file; Repr-Digest is of the file, whatever part of it is sent
// (RFC 9530).
func (h *Handler) getSnapshot(w http.ResponseWriter, r *http.Request) (int, error) {
	if _, err := parseParams(r.URL.RawQuery, 0); err != nil {
		return 0, err
	}
	info, file, err := h.cfg.Snapshots.OpenSnapshot()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	d := &download{ResponseWriter: w, rc: http.NewResponseController(w)}
	digest, err := h.digests.of(r.Context(), &info, file, d.arm)
	if err != nil {
		return 0, err
	}

	header := w.Header()
	header["Content-Type"] = octetStream
	header["X-Content-Type-Options"] = nosniff
	header["Content-Disposition"] = []string{`attachment; filename="` + info.filename() + `"`}
	header["Etag"] = []string{info.tag()}
	header["Cache-Control"] = revalidate
	header["Repr-Digest"] = []string{digest}
	if r.Method == http.MethodGet {
		d.digest = digest
	}
	if info.Revision > 0 {
		header["Kvd-Revision"] = []string{strconv.FormatUint(info.Revision, 10)}
	}
	// Without a time: two snapshots may be of one second, and the tag tells them
	// apart.
	http.ServeContent(d, r, "", time.Time{}, file)
	if err := d.fault(info.Size); err != nil {
		for _, name := range []string{"Content-Disposition", "Repr-Digest", "Accept-Ranges"} {
			header.Del(name)
		}
		return 0, err
	}
	return d.status, nil
}

var revalidate = []string{"no-cache"}

// download is what http.ServeContent writes to. It moves the deadlines as bytes
// move, and keeps the refusals to be told as problems.
type download struct {
	http.ResponseWriter
	rc     *http.ResponseController
	digest string    // Content-Digest of the whole file; "": not told
	armed  time.Time // when the deadlines were set
	status int       // 0: nothing was said yet
}

// WriteHeader passes on all but refusals.
func (d *download) WriteHeader(status int) {
	d.status = status
	if status >= 400 {
		return
	}
	if status == http.StatusOK && d.digest != "" {
		d.Header()["Content-Digest"] = []string{d.digest}
	}
	d.ResponseWriter.WriteHeader(status)
}

// Write gives each piece as much time as a whole answer usually has, as a
// stream does: who reads is served to the end, who does not is cut off.
func (d *download) Write(b []byte) (int, error) {
	if d.status >= 400 {
		return len(b), nil
	}
	d.arm()
	return d.ResponseWriter.Write(b)
}

// arm moves the deadlines. Past the one for reading, net/http would take a
// client that only listens for one that has gone. A ResponseWriter without
// deadlines needs none.
func (d *download) arm() {
	now := time.Now()
	if now.Sub(d.armed) < rearm {
		return
	}
	d.armed = now
	_ = d.rc.SetReadDeadline(now.Add(answerTime))
	_ = d.rc.SetWriteDeadline(now.Add(answerTime))
}

// fault is the refusal that http.ServeContent came to, or nil.
func (d *download) fault(size int64) error {
	switch {
	case d.status < 400:
		return nil
	case d.status == http.StatusRequestedRangeNotSatisfiable:
		return &fault{cause: errBadRange, detail: "the file has " + strconv.FormatInt(size, 10) + " bytes", parameter: "Range"}
	case d.status == http.StatusPreconditionFailed:
		return &fault{cause: errPrecondition, detail: "the newest snapshot is another one"}
	default:
		return &fault{cause: errInternal, detail: "the snapshot cannot be read"}
	}
}
