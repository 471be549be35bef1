package check

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
)

// Log is the committed log of a cluster, put together from its members' dumps.
type Log struct {
	Start    Header // of the dump that it begins with
	Items    []*Version
	Changes  []*Version
	Leases   []Lease
	Requests []Request
	Entries  []*Entry // without a gap, from Start.SnapshotIndex+1 on
}

// line is one line of a dump.
type line struct {
	Header  *Header         `json:"header"`
	Item    *Version        `json:"item"`
	Change  *Version        `json:"change"`
	Lease   *Lease          `json:"lease"`
	Request *Request        `json:"request"`
	Entry   json.RawMessage `json:"entry"`
	End     *struct {
		Entries int `json:"entries"`
	} `json:"end"`
}

// Merge reads the dumps of a cluster's members and puts them together. Members
// whose logs differ are violations; an error is a dump that cannot be read.
func Merge(names ...string) (*Log, Result, error) {
	m := merger{result: Result{Check: "log"}, sums: make(map[uint64]sum)}
	headers, err := readHeaders(names)
	if err != nil {
		return nil, m.result, err
	}
	order := chain(headers)
	for i, x := range order {
		if err := m.read(x.name, x.header.Member, i == 0, x.linked); err != nil {
			return nil, m.result, fmt.Errorf("dump %s: %w", x.name, err)
		}
	}
	m.result.Skipped = int(m.log.Start.SnapshotIndex) // entries that no dump has
	return m.log, m.result, nil
}

type dumpFile struct {
	name   string
	header Header
	linked bool // its entries go on from those of the dumps before
}

func readHeaders(names []string) ([]dumpFile, error) {
	if len(names) == 0 {
		return nil, errors.New("there is no dump")
	}
	var files []dumpFile
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		var l line
		err = json.NewDecoder(f).Decode(&l)
		f.Close()
		if err != nil || l.Header == nil {
			return nil, fmt.Errorf("dump %s does not begin with a header: %w", name, cmp.Or(err, io.ErrUnexpectedEOF))
		}
		files = append(files, dumpFile{name: name, header: *l.Header})
	}
	return files, nil
}

// chain orders the dumps: first the one that begins earliest of those from which
// the others lead to the end of the log without a gap, then those that do so, then
// the rest, which are only compared.
func chain(files []dumpFile) []dumpFile {
	slices.SortStableFunc(files, func(a, b dumpFile) int {
		return cmp.Or(cmp.Compare(a.header.SnapshotIndex, b.header.SnapshotIndex), cmp.Compare(b.header.Commit, a.header.Commit))
	})
	var end uint64
	for _, f := range files {
		end = max(end, f.header.Commit)
	}
	for first := range files {
		at := files[first].header.Commit
		linked := []dumpFile{files[first]}
		var rest []dumpFile
		for i, f := range files {
			switch {
			case i == first:
			case i > first && f.header.SnapshotIndex <= at:
				f.linked = true
				linked = append(linked, f)
				at = max(at, f.header.Commit)
			default:
				rest = append(rest, f)
			}
		}
		if at == end {
			return append(linked, rest...)
		}
	}
	return files // not reached: the dump that has the end leads to it
}

// sum stands for an entry with its results.
type sum struct{ hash, member uint64 }

type merger struct {
	log    *Log
	result Result
	sums   map[uint64]sum // by index
	last   uint64
}

func (m *merger) read(name string, member uint64, first, linked bool) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	entries, ended, told := 0, false, false
	for dec := json.NewDecoder(bufio.NewReaderSize(f, 1<<20)); ; {
		var l line
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		switch {
		case l.Header != nil && first:
			m.log = &Log{Start: *l.Header}
			m.last = l.Header.SnapshotIndex
		case l.Item != nil && first:
			m.log.Items = append(m.log.Items, l.Item)
		case l.Change != nil && first:
			m.log.Changes = append(m.log.Changes, l.Change)
		case l.Lease != nil && first:
			m.log.Leases = append(m.log.Leases, *l.Lease)
		case l.Request != nil && first:
			m.log.Requests = append(m.log.Requests, *l.Request)
		case l.Entry != nil:
			entries++
			if err := m.entry(l.Entry, member, first || linked, &told); err != nil {
				return err
			}
		case l.End != nil:
			ended = true
			if l.End.Entries != entries {
				return fmt.Errorf("it has %d entries and ends after %d", entries, l.End.Entries)
			}
		}
	}
	if !ended {
		return errors.New("it is cut short")
	}
	return nil
}

// entry compares an entry with what other members have at its index, and keeps
// the first that there is. told: the member was found to differ.
func (m *merger) entry(raw []byte, member uint64, keep bool, told *bool) error {
	var at struct {
		Index uint64 `json:"index"`
	}
	if err := json.Unmarshal(raw, &at); err != nil {
		return err
	}
	h := fnv.New64a()
	h.Write(bytes.TrimSpace(raw))
	s := sum{h.Sum64(), member}
	m.result.Judged++
	if old, ok := m.sums[at.Index]; ok {
		if old.hash != s.hash && !*told {
			*told = true
			m.result.fail(Violation{What: fmt.Sprintf("members %d and %d have committed different entries at log index %d, or come to different results there",
				old.member, member, at.Index)})
		}
		return nil
	}
	m.sums[at.Index] = s
	if !keep || at.Index <= m.last {
		return nil
	}
	if at.Index != m.last+1 {
		return fmt.Errorf("entry %d follows %d", at.Index, m.last)
	}
	e := &Entry{}
	if err := json.Unmarshal(raw, e); err != nil {
		return err
	}
	m.last = at.Index
	m.log.Entries = append(m.log.Entries, e)
	return nil
}
