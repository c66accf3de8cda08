package holdfast

import (
	"fmt"
	"net/http"
	"strings"
)

// pathOnly is the path without its query.
const pathOnly = ":path-only"

// longestResource is the longest resource of a request, in bytes. With any escapes, it fits into a call about a lease.
const longestResource = 3000

// template is text with the names of headers in braces.
type template []piece

// piece is text, or else the value of a header.
type piece struct {
	text   string
	header string
}

func readTemplate(f field) (template, error) {
	rest, err := f.required()
	if err != nil {
		return nil, err
	}
	var pieces template
	plain := ""
	for {
		at := strings.IndexAny(rest, "{}")
		if at < 0 {
			break
		}
		brace := rest[at : at+1]
		plain += rest[:at]
		rest = rest[at+1:]
		if strings.HasPrefix(rest, brace) {
			plain += brace
			rest = rest[1:]
			continue
		}
		name, after, closed := strings.Cut(rest, "}")
		if brace != "{" || !closed {
			return nil, f.flaw("has a single brace: write {{ or }} for a brace")
		}
		header, err := readHeader(f, name)
		if err != nil {
			return nil, err
		}
		pieces = append(pieces, piece{text: plain}, piece{header: header})
		plain = ""
		rest = after
	}
	pieces = append(pieces, piece{text: plain + rest})
	length := 0
	for _, part := range pieces {
		length += len(part.text)
		if strings.Contains(part.text, "||") {
			return nil, f.flaw("may not contain ||, which separates the parts of a key")
		}
	}
	if length > longestResource {
		return nil, f.flaw(fmt.Sprintf("must be at most %d bytes long", longestResource))
	}
	return pieces, nil
}

// readHeader returns a name in braces in lower case.
func readHeader(f field, name string) (string, error) {
	lower := strings.ToLower(name)
	switch lower {
	case ":method", ":scheme", ":authority", ":path", pathOnly:
		return lower, nil
	case "method", "scheme", "authority", "path", "path-only":
		// No client sends a header of this name, so all requests would have one resource.
		return "", f.flaw(fmt.Sprintf("has {%s} without a colon: did you mean {:%s}?", name, lower))
	}
	if strings.HasPrefix(name, ":") {
		return "", f.flaw(fmt.Sprintf("has {%s}, which is unknown: use {:method}, {:scheme}, {:authority}, "+
			"{:path}, {:path-only} and {a header's name}", name))
	}
	if !isToken(name) {
		return "", f.flaw(fmt.Sprintf("has {%s}, which is not the name of a header", name))
	}
	return lower, nil
}

func isToken(name string) bool {
	for index := 0; index < len(name); index++ {
		letter := name[index]
		isLetter := letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z'
		isDigit := letter >= '0' && letter <= '9'
		if !isLetter && !isDigit && strings.IndexByte("!#$%&'*+-.^_`|~", letter) < 0 {
			return false
		}
	}
	return name != ""
}

// of returns the resource of a request.
func (t template) of(r *http.Request) string {
	resource := ""
	for _, part := range t {
		text := part.text
		// A header that is missing may bring two bars together.
		if strings.HasPrefix(text, "|") && strings.HasSuffix(resource, "|") {
			text = escape("|") + text[1:]
		}
		resource += text
		if part.header != "" {
			resource += escape(valueOf(r, part.header))
		}
	}
	return resource
}

// valueOf returns the value of a name in braces, which is empty if the request lacks it.
func valueOf(r *http.Request, name string) string {
	if name != pathOnly {
		value, _ := headerOf(r, name)
		if name == ":authority" || name == "host" {
			// Hosts are the same in any case.
			value = strings.ToLower(value)
		}
		return value
	}
	path := pathOf(r)
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		return path[:end]
	}
	return path
}

// escape writes a value that a client chose so that it can neither make a resource that Holdfast refuses, nor one with
// the parts of another application's key.
func escape(value string) string {
	escaped := ""
	for index := 0; index < len(value); index++ {
		letter := value[index]
		if letter == '|' || letter < ' ' || letter > '~' {
			escaped += fmt.Sprintf("%%%02X", letter)
		} else {
			escaped += string(rune(letter))
		}
	}
	return escaped
}
