package httpapi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// FuzzJSONText: what is read in place is what encoding/json reads.
func FuzzJSONText(f *testing.F) {
	for _, s := range []string{
		`{}`, ` [ ] `, `{"a":[1,{"b":"c\"}]"}],"d":null}`, "{\"a\" :\t1 , \"b\":\r\n[true,false]\n}", `"\u00e9\ud83d\ude00\\u0041"`, `"\ud83d"`, `"\ude00\ud83d"`,
		`"\\"`, `[[[]],{},"",0,-1.5e+7]`, `{"k\u0065y":1,"key":2}`, `12 `, `{"a":1}}`, `[1,]`, "\"\xff\"", `"\ud800A"`, `"\ud83d\n\ude00"`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		text, wrong := checkText(body)
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		var want any
		if wrong != "" {
			if json.Valid(body) && bytes.Equal(body, bytes.ToValidUTF8(body, nil)) {
				t.Fatalf("%q was refused: %s", body, wrong)
			}
			return
		}
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("%q was taken: %v", body, err)
		}
		if got, whole := rebuild(text); whole && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %#v, want %#v", body, got, want)
		} else if !whole && !bytes.ContainsRune(must(json.Marshal(want)), '\ufffd') && !bytes.Contains(body, []byte(`""`)) {
			t.Fatalf("%q: a whole string was refused", body)
		}
	})
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// rebuild is what encoding/json makes of a value. False: it has half a
// surrogate pair in it.
func rebuild(t jsonText) (v any, whole bool) {
	switch t[0] {
	case '{':
		object := make(map[string]any)
		for name, m := range t.members() {
			if object[name], whole = rebuild(m); !whole || strings.ContainsRune(name, '\ufffd') || name == "" {
				return nil, false // a name that was refused, or really is none
			}
		}
		return object, true
	case '[':
		list := []any{}
		for i, e := range t.elements() {
			v, whole := rebuild(e)
			if !whole || i != len(list) {
				return nil, false
			}
			list = append(list, v)
		}
		return list, true
	case '"':
		s, ok := t.text()
		return string(s), ok
	case 't', 'f':
		b, _ := t.bool()
		return b, true
	case 'n':
		return nil, true
	}
	return json.Number(t), true
}

func TestJSONTextNumbersAndBase64(t *testing.T) {
	for s, want := range map[string]uint64{"0": 0, "40": 40, "9007199254740993": 1<<53 + 1, "18446744073709551615": 1<<64 - 1} {
		if got, ok := jsonText(s).uint(); !ok || got != want {
			t.Errorf("%s: got %d, %v", s, got, ok)
		}
	}
	for _, s := range []string{"-1", "1.0", "1e3", "18446744073709551616", "1.00000000000000000000000", "100000000000000000000000000000", `"1"`, "null", "true", "[]", "{}"} {
		if got, ok := jsonText(s).uint(); ok {
			t.Errorf("%s was taken as %d", s, got)
		}
	}
	for s, want := range map[string]string{`""`: "", `"/w=="`: "\xff", `"/w"`: "\xff", `"_w"`: "\xff", `"-_8="`: "\xfb\xff", `"+/8"`: "\xfb\xff", `"YWJj"`: "abc", `"\u0059Q=="`: "a"} {
		if got, ok := jsonText(s).base64(); !ok || string(got) != want {
			t.Errorf("%s: got %q, %v", s, got, ok)
		}
	}
	for _, s := range []string{`"a"`, `"YR=="`, `"YQ="`, `"YQ==="`, `"YQ==YQ=="`, `"YWE\nYWE"`, `"+_8="`, `" YQ="`, `7`, `null`} {
		if got, ok := jsonText(s).base64(); ok {
			t.Errorf("%s was taken as %q", s, got)
		}
	}
}
