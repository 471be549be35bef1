package httpapi

import (
	"encoding/base64"
	"strconv"
	"strings"

	"kvd/internal/kvstore"
)

// What the values of parameters are, beyond a word.

func setBool(b *bool, v string) bool {
	*b = v == "true"
	return *b || v == "false"
}

func setUint(n *uint64, v string) bool {
	var err error
	*n, err = strconv.ParseUint(v, 10, 64)
	return err == nil
}

const (
	takesKey    = "at most 4096 bytes, percent-encoded"
	takesBase64 = "base64 of at most 4096 bytes"
)

// setKey never leaves nil behind: an empty prefix is one that was given.
func setKey(key *[]byte, v string) bool {
	*key = append([]byte{}, v...)
	return len(v) <= kvstore.MaxKeyBytes
}

// setBase64 takes both alphabets, padded or not. The "+" of the one is a space
// in a query that nobody escaped, and there is no other space in base64.
func setBase64(key *[]byte, v string) bool {
	if strings.ContainsAny(v, "\r\n") {
		return false // the decoder would pass over them
	}
	v = strings.TrimRight(base64Alphabet.Replace(v), "=")
	b, err := base64.RawStdEncoding.Strict().DecodeString(v)
	*key = append([]byte{}, b...)
	return err == nil && len(b) <= kvstore.MaxKeyBytes
}

var base64Alphabet = strings.NewReplacer(" ", "+", "-", "+", "_", "/")
