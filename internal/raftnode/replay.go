package raftnode

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// scannedWAL is all that the segments of a WAL hold, read through the exported
// decoder and without changing anything.
//
// wal.ReadAll is not used for the log: it brings back entries that raft had
// truncated, when new entries were put at or below the snapshot it starts
// from, or when a snapshot from a peer replaced a longer log (etcd issue
// 22442). Here all records are walked in the order in which they were written:
//
//   - an entry replaces the one at its index and all that follow;
//   - one at or below the base (the last snapshot that replaced the log)
//     replaces the whole tail;
//   - a snapshot that does not match an entry in hand replaced the log;
//   - a gap is an error.
type scannedWAL struct {
	identity  Identity
	metadata  []byte            // identity as written
	segments  int               // read, at least in part
	hardState *raftpb.HardState // nil: none was saved
	records   []walRecord       // entries and snapshots as written
	torn      *tornTail         // nil: the log ends cleanly
	file      string            // the last segment read
	offset    int64             // and where its records end

	base, baseTerm uint64 // the log begins after this index
	log            []*raftpb.Entry
}

type walRecord struct {
	entry    *raftpb.Entry
	snapshot *walpb.Snapshot
}

// tornTail is a record at the very end that was not written whole.
type tornTail struct {
	file         string
	offset, size int64
}

// scanWAL reads a WAL directory. With an error comes what could be read before.
func scanWAL(dir string) (*scannedWAL, error) {
	names, err := segmentNames(dir)
	if err != nil {
		return nil, err
	}
	s := &scannedWAL{}
	if err := checkSequence(names); err != nil {
		return s, fmt.Errorf("%s: %w", dir, err)
	}
	s.base = firstBase(names)
	var crc uint32
	for i, name := range names {
		seg := segment{path: filepath.Join(dir, name), last: i == len(names)-1}
		if crc, err = s.readSegment(seg, crc); err != nil {
			_ = s.replay() // one fault is enough to tell of
			return s, err
		}
	}
	return s, s.replay()
}

type segment struct {
	path string
	last bool
}

// readSegment reads one file. Its first record repeats the checksum with which
// the one before must have ended, its second names the owner; both are durable
// before a file gets its name, so a file without them has lost them.
func (s *scannedWAL) readSegment(seg segment, crc uint32) (uint32, error) {
	f, err := os.Open(seg.path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	s.file, s.offset = seg.path, 0
	s.segments++
	dec := wal.NewDecoder(fileutil.NewFileReader(f))
	damaged := func(err error) error {
		return fmt.Errorf("%s is damaged at byte %d, after log index %d: %w", seg.path, s.offset, s.lastWritten(), err)
	}
	rec := &walpb.Record{}
	for n := 0; ; n++ {
		err := dec.Decode(rec)
		torn := errors.Is(err, io.ErrUnexpectedEOF) && seg.last
		switch {
		case n < 2 && (torn || errors.Is(err, io.EOF)):
			return 0, damaged(errors.New("it is empty or was cut off: it does not name its owner"))
		case errors.Is(err, io.EOF):
			return dec.LastCRC(), nil
		case torn:
			info, err := f.Stat()
			if err != nil {
				return 0, err
			}
			s.torn = &tornTail{file: seg.path, offset: s.offset, size: info.Size()}
			return dec.LastCRC(), nil
		case err != nil:
			return 0, damaged(err)
		}
		if want := headOfSegment[min(n, 2)]; want != 0 && rec.GetType() != want {
			return 0, damaged(fmt.Errorf("record type %d where %d must stand", rec.GetType(), want))
		}
		if rec.GetType() == wal.CrcType {
			// A decoder starts from 0 in each file; the chain goes on from
			// the end of the file before.
			if have := dec.LastCRC(); n == 0 {
				have = crc
				if have != 0 && rec.Validate(have) != nil {
					return 0, damaged(errors.New("records are missing at the end of the segment before"))
				}
			} else if have != 0 && rec.Validate(have) != nil {
				return 0, damaged(wal.ErrCRCMismatch)
			}
			dec.UpdateCRC(rec.GetCrc())
		} else if err := s.keep(rec); err != nil {
			return 0, damaged(err)
		}
		s.offset = dec.LastOffset()
	}
}

// headOfSegment are the types of the records that each segment begins with.
var headOfSegment = [3]int64{wal.CrcType, wal.MetadataType, 0}

func (s *scannedWAL) keep(rec *walpb.Record) error {
	switch rec.GetType() {
	case wal.MetadataType:
		if s.metadata != nil && !bytes.Equal(s.metadata, rec.Data) {
			return wal.ErrMetadataConflict
		}
		s.metadata = bytes.Clone(rec.Data)
		if err := json.Unmarshal(rec.Data, &s.identity); err != nil || s.identity.Member == 0 || s.identity.Cluster == 0 {
			return errors.New("its metadata is not kvd's")
		}
	case wal.EntryType:
		e := &raftpb.Entry{}
		if err := proto.Unmarshal(rec.Data, e); err != nil {
			return err
		}
		s.records = append(s.records, walRecord{entry: e})
	case wal.StateType:
		s.hardState = &raftpb.HardState{}
		return proto.Unmarshal(rec.Data, s.hardState)
	case wal.SnapshotType:
		sn := &walpb.Snapshot{}
		if err := proto.Unmarshal(rec.Data, sn); err != nil {
			return err
		}
		s.records = append(s.records, walRecord{snapshot: sn})
	default:
		return fmt.Errorf("record type %d is unknown", rec.GetType())
	}
	return nil
}

// replay computes the log from the records.
func (s *scannedWAL) replay() error {
	for _, r := range s.records {
		if r.snapshot != nil {
			index := r.snapshot.GetIndex()
			if index > s.hardState.GetCommit() || index == 0 || index < s.base {
				continue // never became valid, the one of a new WAL, or older
			}
			if !s.holds(index, r.snapshot.GetTerm()) {
				s.base, s.baseTerm, s.log = index, r.snapshot.GetTerm(), nil
			}
			continue
		}
		index := r.entry.GetIndex()
		switch {
		case index <= s.base:
			s.log = nil
		case index > s.base+uint64(len(s.log))+1:
			return fmt.Errorf("%s: log index %d follows %d", s.file, index, s.base+uint64(len(s.log)))
		default:
			s.log = append(s.log[:index-s.base-1], r.entry)
		}
	}
	if commit := s.hardState.GetCommit(); commit > s.last() {
		return fmt.Errorf("%s: the log ends at index %d, but %d was committed", s.file, s.last(), commit)
	}
	return nil
}

// holds reports whether the log has an entry, or its base, at index and term.
func (s *scannedWAL) holds(index, term uint64) bool {
	if index == s.base {
		return s.baseTerm == term || s.baseTerm == 0
	}
	return index > s.base && index <= s.last() && s.log[index-s.base-1].GetTerm() == term
}

// last is the index of the last entry, or of the snapshot that replaced all.
func (s *scannedWAL) last() uint64 { return s.base + uint64(len(s.log)) }

// lastTerm is the term of that; 0: not known.
func (s *scannedWAL) lastTerm() uint64 {
	if len(s.log) == 0 {
		return s.baseTerm
	}
	return s.log[len(s.log)-1].GetTerm()
}

// lastWritten is the index of the last entry read so far.
func (s *scannedWAL) lastWritten() uint64 {
	for _, r := range slices.Backward(s.records) {
		if r.entry != nil {
			return r.entry.GetIndex()
		}
	}
	return 0
}

func (s *scannedWAL) end() string {
	if s.torn != nil {
		return fmt.Sprintf("%s is unreadable from byte %d", s.torn.file, s.torn.offset)
	}
	return fmt.Sprintf("%s ends at byte %d", s.file, s.offset)
}

// snapshots lists the snapshots a member may start from, newest first. The
// last is the empty one, from which only a log that begins at 1 can start.
func (s *scannedWAL) snapshots() []*walpb.Snapshot {
	var out []*walpb.Snapshot
	for _, r := range slices.Backward(s.records) {
		if r.snapshot != nil && r.snapshot.GetIndex() <= s.hardState.GetCommit() && r.snapshot.GetIndex() > 0 {
			out = append(out, r.snapshot)
		}
	}
	slices.SortStableFunc(out, func(a, b *walpb.Snapshot) int {
		return cmp.Compare(b.GetIndex(), a.GetIndex())
	})
	return append(out, &walpb.Snapshot{Index: new(uint64(0)), Term: new(uint64(0))})
}

// entriesAfter returns the log after a snapshot.
func (s *scannedWAL) entriesAfter(c *walpb.Snapshot) ([]*raftpb.Entry, error) {
	index := c.GetIndex()
	if index < s.base {
		return nil, fmt.Errorf("%s: the log begins after index %d and does not reach back to the snapshot at %d", s.file, s.base, index)
	}
	if index > 0 && !s.holds(index, c.GetTerm()) {
		return nil, fmt.Errorf("%s: the snapshot at index %d does not fit the log", s.file, index)
	}
	return s.log[index-s.base:], nil
}

// segmentNames lists the segments of a WAL in order.
func segmentNames(dir string) ([]string, error) {
	all, err := fileutil.ReadDir(dir) // sorted
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(name string) bool { return !strings.HasSuffix(name, ".wal") }), nil
}

// checkSequence refuses a WAL from whose middle a segment is missing.
func checkSequence(names []string) error {
	var before uint64
	for i, name := range names {
		var seq, index uint64
		if _, err := fmt.Sscanf(name, "%016x-%016x.wal", &seq, &index); err != nil {
			return fmt.Errorf("WAL segment %s: %w", name, err)
		}
		if i > 0 && seq != before+1 {
			return fmt.Errorf("WAL segment %d is missing", before+1)
		}
		before = seq
	}
	return nil
}

// firstBase is the index after which the log can begin: segments before the
// first one here were released. A segment's name ends in the index of the
// first entry that was to come when it was begun.
func firstBase(names []string) uint64 {
	var seq, index uint64
	if len(names) > 0 {
		_, _ = fmt.Sscanf(names[0], "%016x-%016x.wal", &seq, &index) // checkSequence has parsed it
	}
	return max(index, 1) - 1
}
