package holdfast

import (
	"net/http"
	"strings"
)

// fencingToken is the header that brings the upstream the fencing token.
const fencingToken = "Holdfast-Fencing-Token"

// removeFencingToken removes a client's own fencing token, and its name in Connection, by which the client would have
// the proxy remove ours: a proxy does not forward the headers that Connection names.
func removeFencingToken(header http.Header) {
	header.Del(fencingToken)
	lines := header.Values("Connection")
	header.Del("Connection")
	for _, line := range lines {
		var kept []string
		for _, name := range strings.Split(line, ",") {
			name = strings.TrimSpace(name)
			if name != "" && !strings.EqualFold(name, fencingToken) {
				kept = append(kept, name)
			}
		}
		if len(kept) > 0 {
			header.Add("Connection", strings.Join(kept, ", "))
		}
	}
}
