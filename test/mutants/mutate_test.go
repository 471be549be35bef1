package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutate: an edit needs its text once, and several of a file add up.
func TestMutate(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "f.go"), []byte("one two two three"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		edits []Edit
		want  string // or of the error, after a "!"
	}{
		{[]Edit{{"f.go", "one", "1"}, {"f.go", "three", "3"}}, "1 two two 3"},
		{[]Edit{{"f.go", "one two", "ten"}, {"f.go", "two", "2"}}, "ten 2 three"},
		{[]Edit{{"f.go", "two", "2"}}, "!2 times"},
		{[]Edit{{"f.go", "four", "4"}}, "!0 times"},
		{[]Edit{{"f.go", "one", "one"}}, "!does not change"},
		{[]Edit{{"g.go", "one", "1"}}, "!no such file"},
	} {
		files, err := mutate(root, Mutant{Name: "m", Edits: tt.edits})
		if fault, ok := strings.CutPrefix(tt.want, "!"); ok {
			if err == nil || !strings.Contains(err.Error(), fault) {
				t.Errorf("%v: %v, want an error with %q", tt.edits, err, fault)
			}
		} else if err != nil || string(files["f.go"]) != tt.want {
			t.Errorf("%v: %q, %v, want %q", tt.edits, files["f.go"], err, tt.want)
		}
	}
}

// TestMutantsInDocs: the page that tells what caught each mutant has them all,
// and no others.
func TestMutantsInDocs(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "verification.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## Mutants\n")
	if !ok {
		t.Fatal("docs/verification.md has no section Mutants")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	rows := make(map[string]string)
	for line := range strings.Lines(section) {
		if name, rest, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` | "); ok && strings.HasPrefix(line, "| `") {
			rows[name] = rest
		}
	}
	for _, m := range catalog() {
		if row := rows[m.Name]; !strings.HasPrefix(row, m.Breaks+" |") || !strings.Contains(row, "**caught:**") {
			t.Errorf("%s: the page says %q, not what it breaks and that it was caught", m.Name, row)
		}
		delete(rows, m.Name)
	}
	for name := range rows {
		t.Errorf("the page tells of a mutant %s, which does not exist", name)
	}
}
