package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"iter"
	"strconv"
	"unicode/utf8"
)

// jsonText is one JSON value as it was sent, inside a body that checkText has
// taken, without space around it. Values are read in place: a document of some
// megabytes costs no copy, names are compared to the letter, a number stays what
// it was, and an error can say where it is.
type jsonText []byte

// checkText returns the value that body is, or what is wrong with it.
// encoding/json would put U+FFFD where there is no UTF-8: another key.
func checkText(body []byte) (t jsonText, wrong string) {
	if !utf8.Valid(body) {
		return nil, "the body is not UTF-8; other bytes go into key_base64 and value_base64"
	}
	if !json.Valid(body) {
		return nil, json.Unmarshal(body, new(json.RawMessage)).Error()
	}
	t = jsonText(body).trim()
	return t[:t.extent()], ""
}

// members yields those of an object, in order.
func (t jsonText) members() iter.Seq2[string, jsonText] {
	return func(yield func(string, jsonText) bool) {
		for rest := t[1:].trim(); rest[0] != '}'; {
			quoted := rest[:rest.extent()]
			rest = rest[len(quoted):].trim()[1:].trim() // the colon
			value := rest[:rest.extent()]
			name, _ := quoted.text()
			if !yield(string(name), value) {
				return
			}
			rest = rest[len(value):].next()
		}
	}
}

// elements yields those of a list.
func (t jsonText) elements() iter.Seq2[int, jsonText] {
	return func(yield func(int, jsonText) bool) {
		i := 0
		for rest := t[1:].trim(); rest[0] != ']'; i++ {
			value := rest[:rest.extent()]
			if !yield(i, value) {
				return
			}
			rest = rest[len(value):].next()
		}
	}
}

// text is what a string says. False: it is no string, or half a surrogate pair
// stands in it, which no UTF-8 can say. It may share t's memory.
func (t jsonText) text() ([]byte, bool) {
	if t[0] != '"' {
		return nil, false
	}
	inner := t[1 : len(t)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, true
	}
	var s string
	if !wholeSurrogates(inner) || json.Unmarshal(t, &s) != nil {
		return nil, false
	}
	return []byte(s), true
}

// wholeSurrogates tells whether the surrogates among a string's escapes come in
// pairs.
func wholeSurrogates(inner []byte) bool {
	high := false // the escape before was the first half of a pair
	for i := 0; i < len(inner); i++ {
		unit := uint64(0)
		if inner[i] == '\\' {
			if i++; inner[i] == 'u' {
				unit, _ = strconv.ParseUint(string(inner[i+1:i+5]), 16, 16)
				i += 4
			}
		}
		if low := unit >= 0xdc00 && unit < 0xe000; low != high {
			return false
		}
		high = unit >= 0xd800 && unit < 0xdc00
	}
	return !high
}

// base64 is what a string says in base64, of either alphabet, padded or not.
func (t jsonText) base64() ([]byte, bool) {
	s, ok := t.text()
	if !ok || bytes.ContainsAny(s, "\r\n") { // which the decoder would pass over
		return nil, false
	}
	enc := base64.StdEncoding
	if bytes.ContainsAny(s, "-_") {
		enc = base64.URLEncoding
	}
	if len(s)%4 != 0 {
		enc = enc.WithPadding(base64.NoPadding)
	}
	b := make([]byte, enc.DecodedLen(len(s)))
	n, err := enc.Strict().Decode(b, s)
	return b[:n], err == nil
}

// uint is a number without sign, fraction or exponent.
func (t jsonText) uint() (uint64, bool) {
	n, err := strconv.ParseUint(string(t[:min(len(t), 21)]), 10, 64)
	return n, err == nil
}

func (t jsonText) bool() (value, ok bool) {
	value = string(t) == "true"
	return value, value || string(t) == "false"
}

// extent is the length of the value that t begins with.
func (t jsonText) extent() int {
	depth := 0
	for i := 0; i < len(t); i++ {
		switch t[i] {
		case '"':
			for i++; t[i] != '"'; i++ {
				if t[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth > 0 {
				continue
			}
			if n := bytes.IndexAny(t, ",]} \t\r\n"); n >= 0 { // a number or a word
				return n
			}
			return len(t)
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(t)
}

func (t jsonText) trim() jsonText { return bytes.TrimLeft(t, " \t\r\n") }

// next passes over what stands between a value and the next one, or the end.
func (t jsonText) next() jsonText {
	if t = t.trim(); t[0] == ',' {
		t = t[1:].trim()
	}
	return t
}
