package httpapi

import (
	"net/url"
	"strconv"
	"strings"

	"kvd/internal/kvstore"
)

// keyFromURL returns the key of a path: what follows prefix in the escaped
// path, percent-decoded once.
//
// It does not decode. net/url has done that once, into Path, and keeps the
// escaped form only where decoding lost something. So as long as the prefix
// stands unescaped in both, cutting it off Path gives the same bytes as
// decoding the rest of the escaped path (FuzzKeyFromURL), for nothing.
func keyFromURL(u *url.URL, prefix string) (string, error) {
	if u.RawPath != "" && !strings.HasPrefix(u.RawPath, prefix) {
		return "", &fault{cause: errBadKey, detail: "the path must begin with " + prefix}
	}
	key, ok := strings.CutPrefix(u.Path, prefix)
	switch {
	case !ok:
		return "", &fault{cause: errBadKey, detail: "the path must begin with " + prefix}
	case key == "":
		return "", &fault{cause: errBadKey, detail: "a key has at least one byte"}
	case len(key) > kvstore.MaxKeyBytes:
		return "", &fault{cause: errKeyTooLong, detail: "a key has at most " + strconv.Itoa(kvstore.MaxKeyBytes) + " bytes, this one has " + strconv.Itoa(len(key))}
	}
	return key, nil
}
