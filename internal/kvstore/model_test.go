package kvstore

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// model is the store as maps and slices: what Machine must be, written down as
// plainly as can be. It looks nearly everything up by going through all there is.
type model struct {
	versions  map[string][]modelVersion // of each key all versions, the oldest first
	revision  uint64
	compacted uint64
	clock     time.Duration
	marks     []mark // when revisions were made, one a second

	leases  map[LeaseID]modelLease
	granted uint64 // leases that there ever were

	requests     []modelRequest // the oldest first
	requestBytes uint64         // of all of them
	known        map[string]int // by idempotency key the number of the request
	forgotten    int            // number of the first

	tally map[string]int // how often what came of what
}

// modelVersion is what a change made of a key. After a delete or an expiry only
// Key and ModRevision are set.
type modelVersion struct {
	Item
	made     EventType
	deadline time.Duration // of one with a TTL
}

func newModel() *model {
	return &model{
		versions: map[string][]modelVersion{},
		leases:   map[LeaseID]modelLease{},
		known:    map[string]int{},
		tally:    map[string]int{},
	}
}

// begin is what an entry does before its commands.
func (m *model) begin(clock time.Duration) {
	m.clock = max(m.clock, clock)
	m.forgetOld()
}

// raise begins the next revision.
func (m *model) raise() {
	m.revision++
	if n := len(m.marks); n == 0 || m.clock-m.marks[n-1].clock >= time.Second {
		m.marks = append(slices.Clip(m.marks), mark{m.revision, m.clock})
	}
}

// at returns the key as it was at revision.
func (m *model) at(key string, revision uint64) (found modelVersion, ok bool) {
	for _, v := range m.versions[key] {
		if v.ModRevision <= revision {
			found, ok = v, v.made == EventPut
		}
	}
	if !ok {
		return modelVersion{}, false
	}
	return found, true
}

// now returns the key as it is.
func (m *model) now(key string) (modelVersion, bool) { return m.at(key, m.revision) }

// list returns all that was there at revision from start to before end, in order.
func (m *model) list(start, end []byte, revision uint64) (all []Item) {
	for _, key := range slices.Sorted(maps.Keys(m.versions)) {
		if v, ok := m.at(key, revision); ok && key >= string(start) && (end == nil || key < string(end)) {
			all = append(all, v.Item)
		}
	}
	return all
}

// events are all changes since the last compaction, by revision and key.
func (m *model) events() (all []modelVersion) {
	for _, versions := range m.versions {
		for _, v := range versions {
			if v.ModRevision > m.compacted {
				all = append(all, v)
			}
		}
	}
	slices.SortFunc(all, func(a, b modelVersion) int {
		return cmp.Or(cmp.Compare(a.ModRevision, b.ModRevision), cmp.Compare(string(a.Key), string(b.Key)))
	})
	return all
}

// write makes a version of the key at revision, which the caller has raised.
func (m *model) write(c *modelCommand) (now modelVersion, before *Item) {
	old, ok := m.now(string(c.key))
	it := Item{
		Key: c.key, Value: c.value, ContentType: c.contentType, Lease: c.lease, TTL: c.ttl,
		CreateRevision: m.revision, ModRevision: m.revision, Version: 1,
	}
	if ok {
		it.CreateRevision, it.Version = old.CreateRevision, old.Version+1
		before = &old.Item
	}
	now = modelVersion{Item: it, made: EventPut}
	if c.ttl > 0 {
		now.deadline = m.clock + c.ttl
	}
	m.versions[string(c.key)] = append(m.versions[string(c.key)], now)
	return now, before
}

// bury says that the key, which is there, went at revision.
func (m *model) bury(key string, why EventType) {
	it := Item{Key: []byte(key), ModRevision: m.revision}
	m.versions[key] = append(m.versions[key], modelVersion{Item: it, made: why})
}

func (m *model) put(c *modelCommand) Result {
	old, ok := m.now(string(c.key))
	switch {
	case !c.condition.met(old, ok):
		return Result{Code: ConditionFailed, Revision: m.revision, ModRevision: old.ModRevision}
	case c.lease != 0 && !m.alive(c.lease):
		return Result{Code: LeaseNotFound, Revision: m.revision, ModRevision: old.ModRevision}
	}
	m.raise()
	_, before := m.write(c)
	r := Result{Code: Created, Revision: m.revision, ModRevision: m.revision}
	if ok {
		r.Code = Replaced
		if c.wantPrev {
			r.Prev = before
		}
	}
	return r
}

func (m *model) delete(c *modelCommand) Result {
	old, ok := m.now(string(c.key))
	switch {
	case !c.condition.met(old, ok):
		return Result{Code: ConditionFailed, Revision: m.revision, ModRevision: old.ModRevision}
	case !ok:
		return Result{Code: NotFound, Revision: m.revision}
	}
	m.raise()
	m.bury(string(c.key), EventDelete)
	r := Result{Code: Deleted, Revision: m.revision}
	if c.wantPrev {
		r.Prev = &old.Item
	}
	return r
}

func (m *model) deleteRange(c *modelCommand) Result {
	all := m.list(c.key, c.end, m.revision)
	if len(all) == 0 {
		return Result{Code: NotFound, Revision: m.revision}
	}
	m.raise()
	for _, it := range all {
		m.bury(string(it.Key), EventDelete)
	}
	return Result{Code: Deleted, Revision: m.revision, Deleted: uint64(len(all))}
}

func (m *model) compact(revision uint64) Result {
	if revision > m.revision {
		return Result{Code: FutureRevision, Revision: m.revision}
	}
	if revision <= m.compacted {
		return Result{Code: Compacted, Revision: m.revision}
	}
	m.compacted = revision
	for len(m.marks) > 1 && m.marks[0].revision <= revision+1 {
		m.marks = m.marks[1:]
	}
	for key, versions := range m.versions {
		for len(versions) > 1 && versions[1].ModRevision <= m.compacted {
			versions = versions[1:]
		}
		if versions[0].made != EventPut && versions[0].ModRevision <= m.compacted {
			versions = versions[1:]
		}
		m.versions[key] = versions
		if len(versions) == 0 {
			delete(m.versions, key)
		}
	}
	return Result{Code: Compacted, Revision: m.revision}
}

// met judges the condition on old, which is nothing without ok.
func (c Condition) met(old modelVersion, ok bool) bool {
	return c.Kind == Always || c.Kind == IfAbsent && !ok || c.Kind == IfPresent && ok ||
		c.Kind == IfRevision && ok && old.ModRevision == c.Revision
}
