package check

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// lease returns a lease that is there and whose deadline has not passed.
func (m *model) lease(id string) *modelLease {
	l := m.leases[id]
	if l == nil || m.clock >= l.deadline {
		return nil
	}
	return l
}

func (m *model) grant(c *Command) (CommandResult, bool) {
	id := c.Result.Lease // drawn by kvd
	if m.leases[id] != nil || id == "" {
		m.failf("log index %d: a second lease %q was granted", m.entryIndex, id)
		return CommandResult{}, false
	}
	m.leases[id] = &modelLease{ttl: c.TTL, deadline: after(m.clock, c.TTL), keys: make(map[string]bool)}
	return CommandResult{Code: "lease granted", Lease: id}, true
}

func (m *model) endLease(id, typ string) (n uint64) {
	l := m.leases[id]
	for _, key := range slices.Sorted(maps.Keys(l.keys)) {
		m.remove(key, typ)
		n++
	}
	delete(m.leases, id)
	return n
}

// due is a lease or a key of its own that may end.
type due struct {
	deadline time.Duration
	lease    bool
	name     string
}

// expire ends what is due, the oldest deadline first, up to a number of keys.
func (m *model) expire() (n uint64) {
	var all []due
	for id, l := range m.leases {
		if m.clock >= l.deadline {
			all = append(all, due{l.deadline, true, id})
		}
	}
	for key, v := range m.mortal {
		if m.clock >= v.Deadline {
			all = append(all, due{v.Deadline, false, key})
		}
	}
	slices.SortFunc(all, func(a, b due) int {
		kind := func(d due) int {
			if d.lease {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.deadline, b.deadline), cmp.Compare(kind(a), kind(b)), cmp.Compare(a.name, b.name))
	})
	rev := &Rev{Revision: m.r.Last + 1, Index: m.entryIndex, Clock: m.clock}
	weight := 0
	for _, d := range all {
		if weight >= expireMost {
			break
		}
		if !d.lease {
			m.ended(m.now[d.name], d.deadline, rev)
			m.remove(d.name, "expire")
			n++
			weight++
			continue
		}
		for key := range m.leases[d.name].keys {
			m.ended(m.now[key], d.deadline, rev)
		}
		k := m.endLease(d.name, "expire")
		n += k
		weight += max(1, int(k))
	}
	return n
}

// ended notes the end of a version, or that it is overdue.
func (m *model) ended(v *Version, deadline time.Duration, gone *Rev) {
	if gone == nil && m.clock < deadline {
		return
	}
	m.r.Ends = append(m.r.Ends, &End{Version: v, Deadline: deadline, At: m.clock, Gone: gone})
}
