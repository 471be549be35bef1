package check

import (
	"cmp"
	"strings"
)

// txn applies a transaction.
func (m *model) txn(c *Command) (CommandResult, bool) {
	if c.Result.Code == "too large" {
		return CommandResult{Code: "too large"}, true // the model counts no bytes
	}
	succeeded := true
	for _, x := range c.Txn.If {
		holds, known := x.holds(m.now[x.Key])
		if !known {
			// An order of values of which only the hash is known: kvd is believed.
			succeeded = c.Result.Succeeded != nil && *c.Result.Succeeded
			break
		}
		if !holds {
			succeeded = false
			break
		}
	}
	steps := c.Txn.Then
	if !succeeded {
		steps = c.Txn.Else
	}
	for _, s := range steps {
		if s.Op == "put" && s.Lease != "" && m.lease(s.Lease) == nil {
			return CommandResult{Code: "lease not found"}, true
		}
	}
	for _, s := range steps {
		switch s.Op {
		case "put":
			m.put(s.Key, s.Value, s.TTL, s.Lease)
		case "delete":
			if m.now[s.Key] != nil {
				m.remove(s.Key, "delete")
			}
		case "delete_range":
			m.deleteSpan(s.Key, s.End, "delete")
		}
	}
	return CommandResult{Code: "transaction applied", Succeeded: &succeeded}, true
}

// holds judges a comparison on a version, nil for none. known false: two long
// values, of which only hashes are kept, have an order that nobody knows.
func (c *Compare) holds(v *Version) (holds, known bool) {
	order := 0
	switch c.Target {
	case "value":
		if v == nil {
			return false, true
		}
		if v.Value != c.Text && c.Op != "eq" && c.Op != "ne" && (strings.HasPrefix(v.Value, "#") || strings.HasPrefix(c.Text, "#")) {
			return false, false
		}
		order = strings.Compare(v.Value, c.Text)
	case "lease":
		lease := ""
		if v != nil {
			lease = v.Lease
		}
		order = strings.Compare(lease, c.Text)
	default:
		var n uint64
		if v != nil {
			n = map[string]uint64{"mod_revision": v.Mod, "create_revision": v.Create, "version": v.Version, "exists": 1}[c.Target]
		}
		order = cmp.Compare(n, c.Number)
	}
	return map[string]bool{
		"eq": order == 0, "ne": order != 0, "gt": order > 0, "lt": order < 0, "ge": order >= 0, "le": order <= 0,
	}[c.Op], true
}
