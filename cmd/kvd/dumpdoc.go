package main

import (
	"encoding/json"
	"time"
	"unicode/utf8"

	"kvd/internal/kvstore"
)

// The documents of a dump, as --json prints them: one line is one dumpLine, with
// one of its fields.
type dumpLine struct {
	Header  *dumpHeader  `json:"header,omitempty"`  // the first
	Item    *dumpVersion `json:"item,omitempty"`    // a key as it was at the header's compacted revision
	Change  *dumpVersion `json:"change,omitempty"`  // what changed from there to the snapshot
	Lease   *dumpLease   `json:"lease,omitempty"`   // of the snapshot
	Request *dumpRequest `json:"request,omitempty"` // of the snapshot, oldest first
	Entry   *dumpEntry   `json:"entry,omitempty"`
	End     *dumpEnd     `json:"end,omitempty"` // the last: without it the dump is cut short
}

type dumpHeader struct {
	DataDir       string          `json:"data_dir"`
	Cluster       string          `json:"cluster_id"`
	Member        uint64          `json:"member"`
	Name          string          `json:"name,omitempty"`
	Removed       string          `json:"removed,omitempty"` // what is known of the member's removal
	Term          uint64          `json:"term"`
	Commit        uint64          `json:"commit"`         // the last index that the member knew to be committed
	Last          uint64          `json:"last_index"`     // of the log; what is behind commit is not printed
	SnapshotIndex uint64          `json:"snapshot_index"` // where the entries begin; 0: at the first ever
	SnapshotTerm  uint64          `json:"snapshot_term"`
	LogClock      string          `json:"log_clock"` // of the snapshot, as the next two
	Revision      uint64          `json:"revision"`
	Compacted     uint64          `json:"compacted_revision"`
	Members       []offlineMember `json:"members"`
}

type dumpEntry struct {
	Index     uint64          `json:"index"`
	Term      uint64          `json:"term"`
	Kind      string          `json:"kind"`
	LogClock  string          `json:"log_clock"`
	Proposer  uint64          `json:"proposer,omitempty"`
	Commands  []*dumpCommand  `json:"commands,omitempty"`
	Change    string          `json:"change,omitempty"`
	Refused   string          `json:"refused,omitempty"`
	Members   []offlineMember `json:"members,omitempty"`
	StateHash string          `json:"state_hash,omitempty"` // of a check, by this program's own replay
	Detail    json.RawMessage `json:"detail,omitempty"`
}

// dumpText is bytes of a user in the two fields that a document has for them:
// text where they are UTF-8, else base64.
func dumpText(b []byte) (text *string, base64 []byte) {
	if utf8.Valid(b) {
		return new(string(b)), nil
	}
	return nil, b
}

type dumpVersion struct {
	Type           string  `json:"type"` // put, delete, expire
	Key            *string `json:"key,omitempty"`
	KeyBase64      []byte  `json:"key_base64,omitempty"`
	Value          *string `json:"value,omitempty"`
	ValueBase64    []byte  `json:"value_base64,omitempty"`
	ContentType    string  `json:"content_type,omitempty"`
	ModRevision    uint64  `json:"mod_revision"`
	CreateRevision uint64  `json:"create_revision,omitempty"`
	Version        uint64  `json:"version,omitempty"`
	Lease          string  `json:"lease,omitempty"`
	TTL            string  `json:"ttl,omitempty"`
	Deadline       string  `json:"deadline,omitempty"` // of the TTL, on the log's clock
}

func newDumpVersion(v kvstore.Version) *dumpVersion {
	doc := &dumpVersion{Type: v.Type.String(), ModRevision: v.ModRevision}
	doc.Key, doc.KeyBase64 = dumpText(v.Key)
	if v.Type != kvstore.EventPut {
		return doc
	}
	doc.Value, doc.ValueBase64 = dumpText(v.Value)
	doc.ContentType, doc.CreateRevision, doc.Version = v.ContentType, v.CreateRevision, v.Version
	doc.Lease, doc.TTL, doc.Deadline = leaseText(v.Lease), durationText(v.TTL), durationText(v.Deadline)
	return doc
}

type dumpLease struct {
	ID       string `json:"id"`
	TTL      string `json:"ttl"`
	Deadline string `json:"deadline"` // on the log's clock
}

type dumpRequest struct {
	IdempotencyKey string      `json:"idempotency_key"`
	Fingerprint    string      `json:"fingerprint"`
	LogClock       string      `json:"log_clock"` // at which it was applied
	Result         *dumpResult `json:"result"`
}

type dumpResult struct {
	Code        string `json:"code"`
	Revision    uint64 `json:"revision"` // the store's, after the command
	ModRevision uint64 `json:"mod_revision,omitempty"`
	Deleted     uint64 `json:"deleted,omitempty"`
	Lease       string `json:"lease,omitempty"`
	Succeeded   *bool  `json:"succeeded,omitempty"` // of a transaction
	Replayed    bool   `json:"replayed,omitempty"`  // it is an earlier command's; this one changed nothing
}

func newDumpResult(r *kvstore.Result) *dumpResult {
	doc := &dumpResult{
		Code: r.Code.String(), Revision: r.Revision, ModRevision: r.ModRevision, Deleted: r.Deleted,
		Lease: leaseText(r.Lease), Replayed: r.Replayed,
	}
	if r.Txn != nil {
		doc.Succeeded = new(r.Txn.Succeeded)
	}
	return doc
}

type dumpEnd struct {
	Entries  int    `json:"entries"`
	Revision uint64 `json:"revision"`
}

func leaseText(id kvstore.LeaseID) string {
	if id == 0 {
		return ""
	}
	return id.String()
}

// durationText leaves out what is not there.
func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}
