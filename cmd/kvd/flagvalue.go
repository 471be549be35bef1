package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// flagValue is a pflag.Value over a variable of any type. Its errors say what
// to write instead, which the parsers of the standard library do not.
type flagValue[T any] struct {
	target *T
	kind   string // what --help calls the value
	parse  func(string) (T, error)
	format func(T) string
}

func (v *flagValue[T]) Set(s string) error {
	t, err := v.parse(s)
	if err != nil {
		return err
	}
	*v.target = t
	return nil
}

func (v *flagValue[T]) String() string {
	if v.target == nil { // pflag asks a zero value when it prints defaults
		return ""
	}
	return v.format(*v.target)
}

func (v *flagValue[T]) Type() string { return v.kind }

// integer is a flag for a whole number.
func integer(target *uint64) *flagValue[uint64] {
	return &flagValue[uint64]{target, "n", parseInteger, func(n uint64) string { return strconv.FormatUint(n, 10) }}
}

// duration is a flag for a time with a unit.
func duration(target *time.Duration) *flagValue[time.Duration] {
	return &flagValue[time.Duration]{target, "duration", parseDuration, time.Duration.String}
}

// byteSize is a flag for a number of bytes, with or without a unit.
func byteSize(target *uint64) *flagValue[uint64] {
	return &flagValue[uint64]{target, "size", parseBytes, formatBytes}
}

// list is a flag for names set apart by commas.
func list(target *[]string) *flagValue[[]string] {
	return &flagValue[[]string]{target, "names", parseList, func(l []string) string { return strings.Join(l, ",") }}
}

func parseInteger(s string) (uint64, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, errors.New("is too large for a 64-bit number; use a smaller one")
	}
	if err != nil {
		return 0, errors.New("is not a whole number; use one such as 1")
	}
	return n, nil
}

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return 0, errors.New("is not a duration; use a number with a unit, such as 100ms")
	}
	return d, nil
}

// byteUnits are the units of sizes, longest suffix first. A bare K, M or G is
// refused: people disagree on what it means.
var byteUnits = []struct {
	suffix string
	bytes  uint64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1},
}

func parseBytes(s string) (uint64, error) {
	digits, unit := strings.TrimSpace(s), uint64(1)
	for _, u := range byteUnits {
		if rest, ok := strings.CutSuffix(digits, u.suffix); ok {
			digits, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && n > math.MaxInt64/unit {
		return 0, errors.New("is too large; use a smaller size")
	}
	if err != nil {
		return 0, errors.New("is not a size; use bytes or a number with KiB, MiB or GiB, such as 64MiB")
	}
	return n * unit, nil
}

// formatBytes writes n in the largest binary unit that divides it.
func formatBytes(n uint64) string {
	for _, u := range byteUnits[:3] {
		if n >= u.bytes && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.suffix)
		}
	}
	return strconv.FormatUint(n, 10)
}

func parseList(s string) ([]string, error) {
	var l []string
	for e := range strings.SplitSeq(s, ",") {
		if e = strings.TrimSpace(e); e != "" {
			l = append(l, e)
		}
	}
	return l, nil
}
