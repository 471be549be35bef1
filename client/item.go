package client

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Item is a key with what it holds.
type Item struct {
	Key         string // any bytes
	Value       []byte
	ContentType string

	ModRevision    uint64 // of the write that made it what it is
	CreateRevision uint64
	Version        uint64 // writes since it was created; 1 at creation

	Lease LeaseID       // that it ends with; 0: none
	TTL   time.Duration // that it was written with; 0: none
}

// itemJSON is an item as members write it.
type itemJSON struct {
	Key            *string   `json:"key"`
	KeyBase64      []byte    `json:"key_base64"`
	Value          *string   `json:"value"`
	ValueBase64    []byte    `json:"value_base64"`
	ModRevision    uint64    `json:"mod_revision"`
	CreateRevision uint64    `json:"create_revision"`
	Version        uint64    `json:"version"`
	ContentType    string    `json:"content_type"`
	Lease          LeaseID   `json:"lease"`
	TTL            *duration `json:"ttl"`
}

func (j *itemJSON) item() Item {
	i := Item{
		Key:            string(bytesOf(j.Key, j.KeyBase64)),
		Value:          bytesOf(j.Value, j.ValueBase64),
		ContentType:    j.ContentType,
		ModRevision:    j.ModRevision,
		CreateRevision: j.CreateRevision,
		Version:        j.Version,
		Lease:          j.Lease,
	}
	if j.TTL != nil {
		i.TTL = time.Duration(*j.TTL)
	}
	return i
}

// itemOf is nil for nil.
func itemOf(j *itemJSON) *Item {
	if j == nil {
		return nil
	}
	return new(j.item())
}

// bytesOf is what the two forms of bytes stand for; nil: neither is there.
func bytesOf(plain *string, base64 []byte) []byte {
	if plain != nil {
		return []byte(*plain)
	}
	return base64
}

// duration is one as members write it: "30s".
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}

// durationText is a duration as a parameter.
func durationText(d time.Duration) string { return d.String() }

// LeaseID names a lease; 0 is none.
type LeaseID uint64

// String gives the form that the API uses: 16 hexadecimal digits.
func (id LeaseID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// MarshalText gives the form of String.
func (id LeaseID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the form of String.
func (id *LeaseID) UnmarshalText(text []byte) error {
	v, err := ParseLeaseID(string(text))
	*id = v
	return err
}

// ParseLeaseID reads the form of String.
func ParseLeaseID(s string) (LeaseID, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 {
		return 0, fmt.Errorf("client: %q is no lease id", s)
	}
	return LeaseID(n), nil
}

// UnmarshalJSON takes null and a number 0 for no lease as well.
func (id *LeaseID) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "null", "0", `""`:
		*id = 0
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	return id.UnmarshalText([]byte(s))
}
