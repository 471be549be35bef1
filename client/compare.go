package client

// Operator is how a comparison compares.
type Operator string

// Operators.
const (
	Equal          Operator = "eq"
	NotEqual       Operator = "ne"
	Greater        Operator = "gt"
	Less           Operator = "lt"
	GreaterOrEqual Operator = "ge"
	LessOrEqual    Operator = "le"
)

// Compare is one comparison of a transaction. Of a key that does not exist,
// ModRevision, CreateRevision, Version and Lease are 0, and no comparison of its
// Value holds.
type Compare struct{ body compareJSON }

// MarshalJSON gives the form that the API takes.
func (cmp Compare) MarshalJSON() ([]byte, error) { return marshal(cmp.body) }

type compareJSON struct {
	keyJSON
	ModRevision    with[uint64] `json:"mod_revision,omitempty"`
	CreateRevision with[uint64] `json:"create_revision,omitempty"`
	Version        with[uint64] `json:"version,omitempty"`
	Value          with[string] `json:"value,omitempty"`
	ValueBase64    with[[]byte] `json:"value_base64,omitempty"`
	Lease          with[string] `json:"lease,omitempty"`
	Exists         *bool        `json:"exists,omitempty"`
}

// with is an operator and what it compares with.
type with[T any] map[Operator]T

// ModRevision compares the revision of the last write of a key.
func ModRevision(key string, op Operator, revision uint64) Compare {
	return Compare{compareJSON{keyJSON: newKeyJSON(key), ModRevision: with[uint64]{op: revision}}}
}

// CreateRevision compares the revision at which a key was created.
func CreateRevision(key string, op Operator, revision uint64) Compare {
	return Compare{compareJSON{keyJSON: newKeyJSON(key), CreateRevision: with[uint64]{op: revision}}}
}

// Version compares the number of writes of a key since it was created.
func Version(key string, op Operator, version uint64) Compare {
	return Compare{compareJSON{keyJSON: newKeyJSON(key), Version: with[uint64]{op: version}}}
}

// Value compares the value of a key, byte by byte.
func Value(key string, op Operator, value []byte) Compare {
	j := compareJSON{keyJSON: newKeyJSON(key)}
	if t := newText(value); t.plain != nil {
		j.Value = with[string]{op: *t.plain}
	} else {
		j.ValueBase64 = with[[]byte]{op: t.base64}
	}
	return Compare{j}
}

// Lease compares the lease of a key; 0 is none.
func Lease(key string, op Operator, id LeaseID) Compare {
	s := ""
	if id != 0 {
		s = id.String()
	}
	return Compare{compareJSON{keyJSON: newKeyJSON(key), Lease: with[string]{op: s}}}
}

// Exists compares whether a key exists.
func Exists(key string, exists bool) Compare {
	return Compare{compareJSON{keyJSON: newKeyJSON(key), Exists: &exists}}
}
