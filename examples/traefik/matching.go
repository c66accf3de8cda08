package holdfast

import (
	"net/http"
	"strings"
)

// match has the conditions of which a request must fulfil every one.
type match struct {
	// methods and authorities are empty for every one.
	methods     []string
	authorities []string
	pathPrefix  string
	// headers are whole values by names in lower case.
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
	return !strings.ContainsAny(text, "/ ,@")
}

// includes is whether a request fulfils every condition.
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
