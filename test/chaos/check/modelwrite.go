package check

import (
	"math"
	"time"

	"kvd/test/chaos/history"
)

func found(n uint64) string {
	if n > 0 {
		return "deleted"
	}
	return "not found"
}

func (m *model) write(c *Command) CommandResult {
	old := m.now[c.Key]
	holds := true
	switch c.If {
	case history.Absent:
		holds = old == nil
	case history.Present:
		holds = old != nil
	case history.IfRevision:
		holds = old != nil && old.Mod == c.IfRevision
	}
	var mod uint64
	if old != nil {
		mod = old.Mod
	}
	switch {
	case !holds:
		return CommandResult{Code: "condition failed", ModRevision: mod}
	case c.Kind == "delete" && old == nil:
		return CommandResult{Code: "not found"}
	case c.Kind == "delete":
		m.remove(c.Key, "delete")
		return CommandResult{Code: "deleted"}
	case c.Lease != "" && m.lease(c.Lease) == nil:
		return CommandResult{Code: "lease not found", ModRevision: mod}
	}
	v := m.put(c.Key, c.Value, c.TTL, c.Lease)
	if v.Version == 1 {
		return CommandResult{Code: "created", ModRevision: v.Mod}
	}
	return CommandResult{Code: "replaced", ModRevision: v.Mod}
}

// put and remove belong to the next revision.
func (m *model) put(key, value string, ttl time.Duration, lease string) *Version {
	v := &Version{Key: key, Type: "put", Value: value, Mod: m.r.Last + 1, Create: m.r.Last + 1, Version: 1, Lease: lease, TTL: ttl}
	if old := m.now[key]; old != nil {
		v.Create, v.Version = old.Create, old.Version+1
		m.detach(old)
	}
	if ttl > 0 {
		v.Deadline = after(m.clock, ttl)
	}
	m.attach(v)
	m.now[key] = v
	m.pending = append(m.pending, v)
	return v
}

func (m *model) remove(key, typ string) {
	m.detach(m.now[key])
	delete(m.now, key)
	m.pending = append(m.pending, &Version{Key: key, Type: typ, Mod: m.r.Last + 1})
}

func (m *model) attach(v *Version) {
	if v.TTL > 0 {
		m.mortal[v.Key] = v
	}
	if l := m.leases[v.Lease]; l != nil {
		l.keys[v.Key] = true
	}
}

func (m *model) detach(v *Version) {
	delete(m.mortal, v.Key)
	if l := m.leases[v.Lease]; l != nil {
		delete(l.keys, v.Key)
	}
}

func (m *model) deleteSpan(start, end, typ string) (n uint64) {
	for _, key := range span(m.seen, start, end) {
		if m.now[key] != nil {
			m.remove(key, typ)
			n++
		}
	}
	return n
}

// after is clock+ttl, or the end of time.
func after(clock, ttl time.Duration) time.Duration {
	if clock > math.MaxInt64-ttl {
		return math.MaxInt64
	}
	return clock + ttl
}
