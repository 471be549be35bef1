package httpapi

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"kvd/internal/kvstore"
)

// txnFieldSet is a set of members of operations.
type txnFieldSet uint16

const (
	txnKey txnFieldSet = 1 << iota
	txnValue
	txnContentType
	txnTTL
	txnLease
	txnPrev
	txnPrefix
	txnStart
	txnEnd
	txnLimit
	txnReverse
	txnKeys
	txnCount
	txnConfirm
)

// txnFields are the members of one operation, and of a comparison its key.
type txnFields struct {
	given       txnFieldSet
	key         []byte
	value       []byte
	contentType string
	ttl         time.Duration
	lease       kvstore.LeaseID
	prev        bool
	many        manyParams // as a listing has them
}

const (
	takesText       = "a string"
	takesTextBase64 = "a string in base64"
	takesNumber     = "a whole number from 0"
	takesBool       = "true or false"
)

// txnMembers is the one table of them. A key that is too long has an error of
// its own: see oneKey.
var txnMembers = []struct {
	name  string
	bit   txnFieldSet
	takes string
	set   func(f *txnFields, v jsonText) bool
}{
	{"key", txnKey, takesText, func(f *txnFields, v jsonText) bool { return setText(&f.key, v) }},
	{"key_base64", txnKey, takesTextBase64, func(f *txnFields, v jsonText) bool { return setTextBase64(&f.key, v) }},
	{"value", txnValue, takesText, func(f *txnFields, v jsonText) bool { return setText(&f.value, v) }},
	{"value_base64", txnValue, takesTextBase64, func(f *txnFields, v jsonText) bool { return setTextBase64(&f.value, v) }},
	{"content_type", txnContentType, "a media type of at most " + strconv.Itoa(kvstore.MaxContentTypeBytes) + " bytes", func(f *txnFields, v jsonText) bool {
		text, ok := v.text()
		if !ok || len(text) > kvstore.MaxContentTypeBytes || !fieldValue(text) {
			return false
		}
		f.contentType = plainType(strings.Trim(string(text), " \t"))
		return true
	}},
	{"ttl", txnTTL, takesTTL, func(f *txnFields, v jsonText) bool {
		text, ok := v.text()
		if ok {
			f.ttl, ok = parseTTL(string(text))
		}
		return ok
	}},
	{"lease", txnLease, takesLease, func(f *txnFields, v jsonText) bool {
		text, ok := v.text()
		return ok && setLease(&f.lease, string(text))
	}},
	{"prev", txnPrev, takesBool, func(f *txnFields, v jsonText) bool { return setTruth(&f.prev, v) }},
	{"prefix", txnPrefix, takesBound, func(f *txnFields, v jsonText) bool { return setBound(&f.many.prefix, v, setText) }},
	{"prefix_base64", txnPrefix, takesBoundBase64, func(f *txnFields, v jsonText) bool { return setBound(&f.many.prefix, v, setTextBase64) }},
	{"start", txnStart, takesBound, func(f *txnFields, v jsonText) bool { return setBound(&f.many.start, v, setText) }},
	{"start_base64", txnStart, takesBoundBase64, func(f *txnFields, v jsonText) bool { return setBound(&f.many.start, v, setTextBase64) }},
	{"end", txnEnd, takesBound, func(f *txnFields, v jsonText) bool { return setBound(&f.many.end, v, setText) }},
	{"end_base64", txnEnd, takesBoundBase64, func(f *txnFields, v jsonText) bool { return setBound(&f.many.end, v, setTextBase64) }},
	{"limit", txnLimit, "a number from 1 to " + strconv.Itoa(maxLimit), func(f *txnFields, v jsonText) bool {
		n, ok := v.uint()
		f.many.limit = int(min(n, maxLimit))
		return ok && n >= 1 && n <= maxLimit
	}},
	{"reverse", txnReverse, takesBool, func(f *txnFields, v jsonText) bool { return setTruth(&f.many.reverse, v) }},
	{"keys", txnKeys, takesBool, func(f *txnFields, v jsonText) bool { return setTruth(&f.many.keys, v) }},
	{"count", txnCount, takesBool, func(f *txnFields, v jsonText) bool { return setTruth(&f.many.count, v) }},
	{"confirm", txnConfirm, `"all"`, func(f *txnFields, v jsonText) bool {
		text, ok := v.text()
		f.many.confirmed = ok && string(text) == "all"
		return f.many.confirmed
	}},
}

const (
	takesBound       = "a string of at most 4096 bytes"
	takesBoundBase64 = "a string in base64 of at most 4096 bytes"
)

// setText never leaves nil behind: an empty value is one that was given.
func setText(b *[]byte, v jsonText) (ok bool) {
	*b, ok = v.text()
	return ok
}

func setTextBase64(b *[]byte, v jsonText) (ok bool) {
	*b, ok = v.base64()
	return ok
}

func setBound(b *[]byte, v jsonText, set func(*[]byte, jsonText) bool) bool {
	return set(b, v) && len(*b) <= kvstore.MaxKeyBytes
}

func setTruth(b *bool, v jsonText) (ok bool) {
	*b, ok = v.bool()
	return ok
}

// fieldValue tells whether text can be the value of a header field, as it will
// have to be: no control characters but the tab (RFC 9110, section 5.5).
func fieldValue(text []byte) bool {
	for _, b := range text {
		if b < ' ' && b != '\t' || b == 0x7f {
			return false
		}
	}
	return true
}

// read reads the members of an operation, of which only the allowed are known.
func (f *txnFields) read(where string, v jsonText, allowed txnFieldSet) error {
	if v[0] != '{' {
		return badTxn(where, "takes an object")
	}
	for name, arg := range v.members() {
		if err := f.set(where, name, arg, allowed); err != nil {
			return err
		}
	}
	return nil
}

// set reads one member. The two forms of one thing are the same member.
func (f *txnFields) set(where, name string, v jsonText, allowed txnFieldSet) error {
	for i := range txnMembers {
		m := &txnMembers[i]
		if m.name != name || m.bit&allowed == 0 {
			continue
		}
		if f.given&m.bit != 0 {
			return badTxn(where+"."+name, "given more than once")
		}
		f.given |= m.bit
		if !m.set(f, v) {
			return badTxn(where+"."+name, "takes "+m.takes)
		}
		return nil
	}
	var known []string
	for i := range txnMembers {
		if txnMembers[i].bit&allowed != 0 {
			known = append(known, txnMembers[i].name)
		}
	}
	return unknownMember(where, name, strings.Join(known, ", "))
}

// oneKey is the one key, with the limits that keys have in paths.
func (f *txnFields) oneKey(where string) ([]byte, error) {
	switch {
	case f.given&txnKey == 0:
		return nil, badTxn(where, "key or key_base64 is required")
	case len(f.key) == 0:
		return nil, badTxn(where, "a key has at least one byte")
	case len(f.key) > kvstore.MaxKeyBytes:
		return nil, &fault{cause: errKeyTooLong, detail: where + ": a key has at most " + strconv.Itoa(kvstore.MaxKeyBytes) + " bytes, this one has " + strconv.Itoa(len(f.key))}
	}
	return f.key, nil
}

// bounds are the range of keys, with the rules that listings have.
func (f *txnFields) bounds(where string) (span, error) {
	s, err := newSpan(&f.many)
	if bad, ok := errors.AsType[*fault](err); ok {
		err = badTxn(where, bad.detail)
	}
	return s, err
}
