package kvstore

// Condition says on what state of its key a write depends. It is judged where
// the command is applied, so that it holds on every member. The zero Condition
// always holds.
type Condition struct {
	Kind     ConditionKind
	Revision uint64 // of IfRevision
}

// ConditionKind is part of the command format: the numbers stay as they are.
type ConditionKind uint8

const (
	Always     ConditionKind = iota
	IfAbsent                 // If-None-Match: *
	IfPresent                // If-Match: *
	IfRevision               // If-Match: "42": the key is there, and its ModRevision is Revision
)

// holds judges the condition on what is stored; nil means that nothing is.
func (c Condition) holds(old *item) bool {
	switch c.Kind {
	case Always:
		return true
	case IfAbsent:
		return old == nil
	case IfPresent:
		return old != nil
	case IfRevision:
		return old != nil && old.modRevision == c.Revision
	}
	return false
}
