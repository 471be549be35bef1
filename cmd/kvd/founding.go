package main

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kvd/internal/raftnode"
)

// founding is how a cluster began. Every founder draws a token, tells the others
// and waits for theirs; the id of the cluster is made of all of them, so that it
// is random and yet the same on each. A founder's token lives in its data
// directory: one that comes back without it has lost its disk, and the others,
// who remember the token that they founded the cluster with, say so.
type founding struct {
	Member   uint64            `json:"member"`
	Founders map[uint64]string `json:"founders"` // peer URLs by id
	Tokens   map[uint64]string `json:"tokens"`   // by id; all of them once the cluster is founded
}

// foundingFile is where a founder's directory keeps its founding.
const foundingFile = "founding"

// loadFounding returns what the directory remembers; nil: nothing.
func loadFounding(disk *raftnode.Disk) (*founding, error) {
	b, err := disk.ReadFile(foundingFile)
	if b == nil || err != nil {
		return nil, err
	}
	f := &founding{}
	if err := json.Unmarshal(b, f); err != nil {
		return nil, fmt.Errorf("%w: file %s is damaged: %w", raftnode.ErrDataDir, foundingFile, err)
	}
	return f, nil
}

func (f *founding) save(disk *raftnode.Disk) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return disk.WriteFile(foundingFile, append(b, '\n'))
}

// newFounding is the beginning of one: this member's token and no other.
func newFounding(member uint64, founders []founder) *founding {
	f := &founding{Member: member, Tokens: map[uint64]string{member: rand.Text()}}
	f.name(founders)
	return f
}

// name sets who founds the cluster.
func (f *founding) name(founders []founder) {
	f.Founders = map[uint64]string{}
	for _, m := range founders {
		f.Founders[m.ID] = m.PeerURL
	}
}

// complete tells whether the cluster is founded.
func (f *founding) complete() bool { return f != nil && len(f.Tokens) == len(f.Founders) }

// cluster is the id of the cluster; 0 as long as it is not founded.
func (f *founding) cluster() uint64 {
	if !f.complete() {
		return 0
	}
	h := sha256.New()
	for _, id := range slices.Sorted(maps.Keys(f.Founders)) {
		fmt.Fprintf(h, "%d=%s %s\n", id, f.Founders[id], f.Tokens[id])
	}
	return max(1, binary.BigEndian.Uint64(h.Sum(nil)))
}

// of reports whether this is how cluster began.
func (f *founding) of(cluster uint64) bool { return f.complete() && f.cluster() == cluster }

// nodeFounders are the founders as the log begins with them.
func (f *founding) nodeFounders() []raftnode.Founder {
	var list []raftnode.Founder
	for id, url := range f.Founders {
		list = append(list, raftnode.Founder{ID: id, PeerURL: url})
	}
	slices.SortFunc(list, func(a, b raftnode.Founder) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// knows tells whether list may be the founding list of a cluster that has run
// since: the same ids, and not all of them at other addresses.
func (f *founding) knows(list []founder) bool {
	same := 0
	for _, m := range list {
		url, ok := f.Founders[m.ID]
		if !ok {
			return false
		}
		if url == m.PeerURL {
			same++
		}
	}
	return len(list) == len(f.Founders) && same > 0
}

// wipedError is what the others say of a founder without the token that they
// founded the cluster with.
type wipedError struct {
	member  uint64
	cluster string
}

func (e *wipedError) Error() string {
	return fmt.Sprintf("member %d took part in founding cluster %s with another data directory, which this one does not replace: what that one promised would be forgotten",
		e.member, e.cluster)
}

// learn takes in what another founder answered. An error is final: asking again
// would give the same answer.
func (f *founding) learn(id uint64, said *foundingDocument) error {
	url := f.Founders[id]
	switch {
	case said.Member != id:
		return usageError("--cluster: %s is member %d and not %d; correct the list, on all members alike", url, said.Member, id)
	case said.Founders == nil:
		return usageError("--cluster: member %d at %s belongs to cluster %s, which was not founded with it; use --join with its client URL to enter that cluster", id, url, said.Cluster)
	case !maps.Equal(said.Founders, f.Founders):
		return usageError("--cluster: member %d at %s was started with another list, %s; start all with the same", id, url, formatFounders(said.Founders))
	}
	founded := said.Cluster != ""
	if founded && said.Tokens[f.Member] != f.Tokens[f.Member] {
		return &wipedError{member: f.Member, cluster: said.Cluster}
	}
	if founded && len(said.Tokens) == len(f.Founders) {
		maps.Copy(f.Tokens, said.Tokens)
	} else if token := said.Tokens[id]; token != "" {
		f.Tokens[id] = token
	}
	return nil
}

// missing are the founders whose tokens are not known.
func (f *founding) missing() []uint64 {
	var ids []uint64
	for id := range f.Founders {
		if _, ok := f.Tokens[id]; !ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func formatFounders(founders map[uint64]string) string {
	var list []string
	for _, id := range slices.Sorted(maps.Keys(founders)) {
		list = append(list, fmt.Sprintf("%d=%s", id, founders[id]))
	}
	return strings.Join(list, ",")
}
