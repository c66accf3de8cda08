package holdfast

import (
	"net/http"
	"net/url"
	"strings"
)

// headerOf returns a header of a request by its name in lower case, and whether the request has it. Several values are
// joined by commas. The parts of the request line are headers whose names begin with a colon.
func headerOf(r *http.Request, name string) (string, bool) {
	switch name {
	case ":method":
		return r.Method, true
	case ":scheme":
		if r.TLS != nil {
			return "https", true
		}
		return "http", true
	case ":authority", "host":
		return r.Host, true
	case ":path":
		return pathOf(r), true
	}
	values := r.Header.Values(name)
	return strings.Join(values, ","), len(values) > 0
}

// pathOf returns the path with its query. Traefik and its middlewares that change the path keep the one for the
// upstream in RequestURI.
func pathOf(r *http.Request) string {
	path := r.RequestURI
	if path == "" {
		return r.URL.RequestURI()
	}
	if strings.HasPrefix(path, "/") {
		return path
	}
	// A client may send the whole URL.
	if whole, err := url.ParseRequestURI(path); err == nil && whole.Host != "" {
		return whole.RequestURI()
	}
	return path
}
