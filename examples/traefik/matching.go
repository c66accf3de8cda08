package holdfast

import (
	"net/http"
	"strings"
)

// match has the conditions, all of which a request must meet.
type match struct {
	// methods and authorities match every request if they are empty.
	methods     []string
	authorities []string
	pathPrefix  string
	// headers maps names in lower case to whole values.
	headers map[string]string
}

func readMatch(f field) (match, error) {
	fields, err := f.fields("methods", "authorities", "pathPrefix", "headers")
	if err != nil {
		return match{}, err
	}
	m := match{headers: make(map[string]string)}
	if m.methods, err = texts(fields["methods"], isToken, "is not a method"); err != nil {
		return match{}, err
	}
	if m.authorities, err = texts(fields["authorities"], isAuthority, "is not a host"); err != nil {
		return match{}, err
	}
	if m.pathPrefix, err = fields["pathPrefix"].textOr(""); err != nil {
		return match{}, err
	}
	if m.pathPrefix != "" && !strings.HasPrefix(m.pathPrefix, "/") {
		return match{}, fields["pathPrefix"].flaw("must begin with /")
	}
	if !isSent(m.pathPrefix) {
		return match{}, fields["pathPrefix"].flaw(
			"must be as requests have it: printable ASCII, without spaces and #")
	}
	headers, err := fields["headers"].mapping()
	if err != nil {
		return match{}, err
	}
	for _, name := range names(headers) {
		value := field{path: fields["headers"].below(name), value: headers[name]}
		text, err := value.text()
		if err != nil {
			return match{}, err
		}
		lower := strings.ToLower(name)
		if !isToken(lower) && lower != ":method" && lower != ":scheme" && lower != ":authority" && lower != ":path" {
			return match{}, value.flaw("is not the name of a header")
		}
		if lower == "host" {
			lower = ":authority"
		}
		if _, found := m.headers[lower]; found {
			return match{}, value.flaw("is given twice")
		}
		m.headers[lower] = text
	}
	return m, nil
}

// texts returns the texts of a list, none of them empty.
func texts(f field, isRight func(string) bool, problem string) ([]string, error) {
	items, err := f.items()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, item := range items {
		text, err := item.required()
		if err != nil {
			return nil, err
		}
		if !isRight(text) {
			return nil, item.flaw(problem)
		}
		all = append(all, text)
	}
	return all, nil
}

// isAuthority is whether this may be a host, with or without a port.
func isAuthority(text string) bool {
	for index := 0; index < len(text); index++ {
		letter := text[index]
		isLetter := letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z'
		isDigit := letter >= '0' && letter <= '9'
		if !isLetter && !isDigit && strings.IndexByte("-._~:[]%", letter) < 0 {
			return false
		}
	}
	return true
}

// isSent is whether the path of a request may begin with this. If none does, every request passes without a lock.
func isSent(prefix string) bool {
	for index := 0; index < len(prefix); index++ {
		if prefix[index] <= ' ' || prefix[index] > '~' || prefix[index] == '#' {
			return false
		}
	}
	return true
}

// includes returns whether a request meets every condition.
func (m match) includes(r *http.Request) bool {
	if !isOneOf(m.methods, r.Method) || !isOneOf(m.authorities, r.Host) {
		return false
	}
	if !strings.HasPrefix(pathOf(r), m.pathPrefix) {
		return false
	}
	for name, wanted := range m.headers {
		value, found := headerOf(r, name)
		if !found || value != wanted {
			return false
		}
	}
	return true
}

func isOneOf(known []string, value string) bool {
	for _, candidate := range known {
		if strings.EqualFold(candidate, value) {
			return true
		}
	}
	return len(known) == 0
}
