package test

import (
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCorruptionUnderLoad spoils the log of one member of three after the other
// while clients write. Each time the member refuses to start with exit code 3
// and says how to replace it; that is done as printed, and brings the cluster
// back to three members. Nothing that was acknowledged is lost.
func TestCorruptionUnderLoad(t *testing.T) {
	t.Parallel()
	seed := envNumber(t, "KVD_FAULT_SEED", uint64(time.Now().UnixNano()))
	t.Logf("KVD_FAULT_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0xc0))
	c := startCluster(t, 3)
	w := startWriters(t, "load/", 1000, 2*time.Millisecond, goPutters(t, 4, c.members...)...)

	newest := func(m *member) string {
		files := walFiles(t, m.dir)
		return files[len(files)-1]
	}
	// somewhere is an entry well before the end.
	somewhere := func(m *member) (string, record) {
		file := newest(m)
		es := entries(t, file)
		return file, es[rng.IntN(max(1, len(es)*9/10))]
	}
	damages := []damageOf{
		{"a zeroed sector", func(m *member) {
			file, r := somewhere(m)
			zeroFrom(t, file, (r.off+511)/512*512, 512)
		}},
		{"a flipped bit", func(m *member) {
			file, r := somewhere(m)
			flip(t, file, r.off+8+rng.Int64N(r.size))
		}},
		{"an empty file", func(m *member) { truncate(t, newest(m), 0) }},
	}
	rng.Shuffle(len(damages), func(i, j int) { damages[i], damages[j] = damages[j], damages[i] })
	for _, d := range damages {
		w.waitMore(20*time.Second, 200)
		replaceDamaged(t, c, c.members[rng.IntN(3)], d)
	}

	// The log goes on in a second file after 64 MB. Without the first, a member
	// whose snapshot reaches as far has everything; without the last, none has.
	putAll(t, c.leader(), 70, strings.Repeat("0123456789abcdef", 1<<16))
	c.waitApplied(20 * time.Second)
	replaceDamaged(t, c, c.members[rng.IntN(3)], damageOf{"a missing segment", func(m *member) {
		if files := walFiles(t, m.dir); len(files) < 2 {
			t.Fatalf("%s has log files %q, want two at least", m.name(), files)
		}
		remove(t, newest(m))
	}})

	w.waitMore(20*time.Second, 200)
	w.stop()
	w.wantNoneFailed()
	w.wantAll(c.members...)
	for _, m := range c.members {
		m.wantValue("69", strings.Repeat("0123456789abcdef", 1<<16))
	}
	t.Logf("%d acknowledged writes", w.count())
}

// damageOf spoils the directory of a member that is down.
type damageOf struct {
	name string
	do   func(m *member)
}

// replaceDamaged kills a member, spoils its directory, and follows what the
// next start says.
func replaceDamaged(t *testing.T, c *cluster, m *member, d damageOf) {
	t.Helper()
	c.leader()
	m.kill()
	d.do(m)
	before := readTree(t, m.dir)
	code, out := runToEnd(t, m.command())
	if code != 3 {
		t.Fatalf("%s of %s: exit code %d, want 3: %.2000s", d.name, m.name(), code, out)
	}
	sameTree(t, m.dir, before)
	t.Logf("%s of %s: %s", d.name, m.name(), strings.TrimSpace(out[strings.LastIndexByte(strings.TrimSpace(out), '\n')+1:]))
	replaceAsPrinted(t, c, m, out)
}

// replaceAsPrinted replaces a member by what its refusal to start says.
func replaceAsPrinted(t *testing.T, c *cluster, m *member, out string) *member {
	t.Helper()
	others := slices.DeleteFunc(slices.Clone(c.members), func(o *member) bool { return o == m })
	r := parseRemedy(t, out, others[0])
	for _, curl := range r.requests {
		waitFor(t, 20*time.Second, curl.method+" "+curl.url, func() error {
			got, err := send(t.Context(), curl.method, curl.url, curl.body)
			if err != nil {
				return err
			}
			return got.want(http.StatusOK, http.StatusCreated, http.StatusNoContent)
		})
	}
	// On the same machine, at the same addresses.
	fresh := newMember(t, 0)
	fresh.clientURL, fresh.peerURL = m.clientURL, m.peerURL
	fresh.args = r.flags
	if i := slices.Index(fresh.args, "--data-dir"); i >= 0 && i+1 < len(fresh.args) {
		fresh.dir = fresh.args[i+1]
		fresh.args = slices.Delete(fresh.args, i, i+2)
	}
	fresh.start()
	fresh.waitReady(30 * time.Second)
	fresh.id = fresh.mustStatus().ID
	if fresh.id == m.id {
		t.Errorf("the new member has the id %d of the damaged one", m.id)
	}
	c.members[slices.Index(c.members, m)] = fresh
	for _, m := range c.members {
		wantVoters(t, m, 3)
	}
	return fresh
}

// remedy is what a refusal tells one to type.
type remedy struct {
	requests []curlCommand
	flags    []string // of kvd serve
}

type curlCommand struct {
	method, url string
	body        []byte
}

var curlLine = regexp.MustCompile(`curl (?:-[\w-]+ )*-X ?(\w+) (?:-d '([^']*)' )?'?(https?://[^\s,;'"]+)'?(?: -d '([^']*)')?`)

// parseRemedy reads the commands out of a refusal. Where the refusing process
// could not know the address of a member it says so in capitals, and we know.
func parseRemedy(t *testing.T, out string, other *member) remedy {
	t.Helper()
	// The last line is the message; the log may say it too, and in other words.
	out = strings.TrimSpace(out)
	out = out[strings.LastIndexByte(out, '\n')+1:]
	out = strings.ReplaceAll(out, "ANY-MEMBER", other.clientAddr())
	var r remedy
	for _, match := range curlLine.FindAllStringSubmatch(out, -1) {
		c := curlCommand{method: match[1], url: match[3]}
		if body := match[2] + match[4]; body != "" {
			c.body = []byte(body)
		}
		r.requests = append(r.requests, c)
	}
	_, serve, ok := strings.Cut(out, "kvd serve ")
	if !ok || len(r.requests) == 0 {
		t.Fatalf("the message names no commands to replace the member: %s", out)
	}
	for _, word := range shellWords(serve) {
		name, value, both := strings.Cut(word, "=")
		if isFlag := strings.HasPrefix(word, "--"); isFlag && both {
			r.flags = append(r.flags, name, value)
		} else if last := len(r.flags) - 1; isFlag || last >= 0 && strings.HasPrefix(r.flags[last], "--") {
			r.flags = append(r.flags, word)
		} else {
			break // the sentence goes on
		}
	}
	if i := slices.Index(r.flags, "--data-dir"); i >= 0 {
		if entries, err := os.ReadDir(r.flags[i+1]); err == nil && len(entries) > 0 {
			t.Errorf("the directory that the message names is not empty: %s", r.flags[i+1])
		}
	}
	return r
}

// shellWords splits a command line as a shell does that knows single quotes.
func shellWords(s string) (words []string) {
	var word strings.Builder
	quoted, begun := false, false
	for _, r := range s + " " {
		switch {
		case r == '\'':
			quoted, begun = !quoted, true
		case r == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	return words
}
