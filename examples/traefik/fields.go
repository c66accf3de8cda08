package holdfast

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"
)

// maxTime is the longest time that Holdfast takes.
const maxTime = 2_147_483_647 * time.Second

// field is a setting and its path, such as refused.status.
//
// Traefik passes numbers, booleans and lists as they are if they come from Kubernetes, but as text if they come from
// a file or a label. So each of them may be text, and a list has commas then.
type field struct {
	path  string
	value interface{}
}

// flaw returns the error about the field.
func (f field) flaw(message string) error {
	if f.path == "" {
		return errors.New(message)
	}
	return errors.New(f.path + ": " + message)
}

func (f field) below(name string) string {
	if name == "" {
		name = `""`
	}
	if f.path == "" {
		return name
	}
	return f.path + "." + name
}

func (f field) isMissing() bool {
	return f.value == nil
}

// mapping returns the entries. Traefik makes an empty text of an empty mapping.
func (f field) mapping() (map[string]interface{}, error) {
	switch value := f.value.(type) {
	case nil:
		return nil, nil
	case map[string]interface{}:
		return value, nil
	case string:
		if value == "" {
			return nil, nil
		}
	}
	return nil, f.flaw("must be a mapping")
}

// fields returns the entries of a mapping. An unknown entry is an error. Traefik's labels are often written in lower
// case, so case does not matter.
func (f field) fields(known ...string) (map[string]field, error) {
	entries, err := f.mapping()
	if err != nil {
		return nil, err
	}
	fields := make(map[string]field)
	for _, name := range known {
		fields[name] = field{path: f.below(name)}
	}
	taken := make(map[string]bool)
	for _, name := range names(entries) {
		found := ""
		for _, candidate := range known {
			if strings.EqualFold(candidate, name) {
				found = candidate
			}
		}
		named := field{path: f.below(name)}
		if found == "" {
			return nil, named.flaw("unknown field; the fields here are " + strings.Join(known, ", "))
		}
		if taken[found] {
			return nil, named.flaw("is given twice")
		}
		taken[found] = true
		fields[found] = field{path: f.below(found), value: entries[name]}
	}
	return fields, nil
}

// names returns the names of entries in order, so that the same one of two wrong entries is always reported.
func names(entries map[string]interface{}) []string {
	var all []string
	for name := range entries {
		all = append(all, name)
	}
	sort.Strings(all)
	return all
}

// items returns the items of a list, or none if it is missing.
func (f field) items() ([]field, error) {
	var values []interface{}
	switch value := f.value.(type) {
	case nil:
	case []interface{}:
		values = value
	case []string:
		for _, text := range value {
			values = append(values, text)
		}
	case string:
		if value != "" {
			for _, text := range strings.Split(value, ",") {
				values = append(values, strings.TrimSpace(text))
			}
		}
	default:
		return nil, f.flaw("must be a list")
	}
	var items []field
	for index, value := range values {
		items = append(items, field{path: fmt.Sprintf("%s[%d]", f.path, index), value: value})
	}
	return items, nil
}

func (f field) text() (string, error) {
	text, ok := f.value.(string)
	if !ok {
		return "", f.flaw("must be text")
	}
	return text, nil
}

// required returns text that is not empty.
func (f field) required() (string, error) {
	if f.isMissing() {
		return "", f.flaw("is missing")
	}
	text, err := f.text()
	if err == nil && text == "" {
		return "", f.flaw("is missing")
	}
	return text, err
}

func (f field) textOr(absent string) (string, error) {
	if f.isMissing() {
		return absent, nil
	}
	return f.text()
}

// asciiOr returns text that can be the value of a header.
func (f field) asciiOr(absent string) (string, error) {
	text, err := f.textOr(absent)
	if err != nil {
		return "", err
	}
	for index := 0; index < len(text); index++ {
		if text[index] < ' ' || text[index] > '~' {
			return "", f.flaw("must be printable ASCII")
		}
	}
	return text, nil
}

// oneOf returns one of some words, the first if it is missing.
func (f field) oneOf(first, second string) (string, error) {
	word, err := f.textOr(first)
	if err != nil {
		return "", err
	}
	if word != first && word != second {
		return "", f.flaw("must be " + first + " or " + second)
	}
	return word, nil
}

func (f field) flagOr(absent bool) (bool, error) {
	switch value := f.value.(type) {
	case nil:
		return absent, nil
	case bool:
		return value, nil
	case string:
		if value == "true" || value == "false" {
			return value == "true", nil
		}
	}
	return false, f.flaw("must be true or false")
}

// numberOr returns a whole number that is not negative.
func (f field) numberOr(absent int64) (int64, error) {
	text := ""
	switch value := f.value.(type) {
	case nil:
		return absent, nil
	case string:
		text = value
	case int:
		text = strconv.Itoa(value)
	case int64:
		text = strconv.FormatInt(value, 10)
	case float64:
		if value == math.Trunc(value) && math.Abs(value) < 1<<53 {
			text = strconv.FormatInt(int64(value), 10)
		}
	}
	if !isDigits(text) {
		return 0, f.flaw("must be a whole number")
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		// It has too many digits, and so is above the limit of any field.
		return math.MaxInt64, nil
	}
	return number, nil
}

// timeOr returns a time in milliseconds, rounded up. It is written as seconds, such as 30s or 0.25s.
func (f field) timeOr(absent time.Duration) (time.Duration, error) {
	if f.isMissing() {
		return absent, nil
	}
	flaw := f.flaw("must be seconds, such as 30s or 0.25s")
	text, ok := f.value.(string)
	if !ok || !strings.HasSuffix(text, "s") {
		return 0, flaw
	}
	whole, fraction, hasFraction := strings.Cut(strings.TrimSuffix(text, "s"), ".")
	if !isDigits(whole) || hasFraction && (!isDigits(fraction) || len(fraction) > 9) {
		return 0, flaw
	}
	// The zeros turn the fraction into nanoseconds, and a missing fraction into 0.
	nanoseconds, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return 0, flaw
	}
	milliseconds := (nanoseconds + 999_999) / 1_000_000
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds > int64(maxTime/time.Second) {
		seconds = int64(maxTime / time.Second)
		milliseconds = 1
	}
	duration := time.Duration(seconds)*time.Second + time.Duration(milliseconds)*time.Millisecond
	if duration > maxTime {
		return 0, f.flaw(fmt.Sprintf("must be at most %ds", int64(maxTime/time.Second)))
	}
	return duration, nil
}

// positiveTime returns a time above 0. The field may be missing only if absent is above 0.
func (f field) positiveTime(absent time.Duration) (time.Duration, error) {
	if f.isMissing() && absent == 0 {
		return 0, f.flaw("is missing")
	}
	duration, err := f.timeOr(absent)
	if err == nil && duration == 0 {
		return 0, f.flaw("must be longer than 0s")
	}
	return duration, err
}

func isDigits(text string) bool {
	for index := 0; index < len(text); index++ {
		if text[index] < '0' || text[index] > '9' {
			return false
		}
	}
	return text != ""
}
