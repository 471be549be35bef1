package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
)

// digestPiece is how much of a file is hashed between two looks at whether
// anybody still waits for it.
const digestPiece = 1 << 20

// digests remembers the digest of the newest snapshot's file: to find it means
// to read the file to its end.
type digests struct {
	busyc chan struct{} // of one: who holds it owns the rest
	known SnapshotInfo
	text  string // sha-256 in the form of RFC 9530
}

func newDigests() digests { return digests{busyc: make(chan struct{}, 1)} }

// of returns the digest of a snapshot's file, which it leaves at its beginning.
// It blocks while another request finds it out, or until ctx is done, and calls
// alive now and then.
func (d *digests) of(ctx context.Context, info *SnapshotInfo, file io.ReadSeeker, alive func()) (string, error) {
	select {
	case d.busyc <- struct{}{}:
		defer func() { <-d.busyc }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if d.text != "" && d.known == *info {
		return d.text, nil
	}
	hash := sha256.New()
	for {
		alive()
		_, err := io.CopyN(hash, file, digestPiece)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return "", fmt.Errorf("read snapshot %d: %w", info.Index, err)
		}
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("read snapshot %d: %w", info.Index, err)
	}
	d.known, d.text = *info, "sha-256=:"+base64.StdEncoding.EncodeToString(hash.Sum(nil))+":"
	return d.text, nil
}
