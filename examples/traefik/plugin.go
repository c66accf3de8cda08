// Package holdfast is a middleware of Traefik that takes a lock of Holdfast around each request.
//
// Traefik interprets this source with yaegi, so it uses the standard library alone, in the way of Go 1.22. It also keeps
// to what yaegi 0.16 does right: no switch over an interface's value, no function without names for its parameters, no
// element of a map on the left of an assignment of two.
//
//   - plugin.go: the functions that Traefik calls.
//   - policy.go, matching.go, template.go, refusal.go: the settings.
//   - fields.go: reading settings, and errors about them.
//   - request.go: the parts of a request.
//   - middleware.go: a request on its way.
//   - crowd.go: how many requests wait for each lock.
//   - locks.go: the calls to Holdfast.
//   - releases.go: releases, with further tries.
//   - answer.go: whether the upstream was asked, and has answered.
//   - fencing.go: the header that brings the upstream the fencing token.
package holdfast

import (
	"context"
	"log"
	"net/http"
)

// Config has the settings by their names, as Traefik read them. A structure with a field for each setting would lose
// misspelled ones.
type Config map[string]interface{}

// CreateConfig returns empty settings.
func CreateConfig() *Config {
	return &Config{}
}

// New returns the middleware in front of a handler. Its error names the first wrong setting.
func New(_ context.Context, next http.Handler, config *Config, name string) (http.Handler, error) {
	policy, err := readPolicy(map[string]interface{}(*config))
	if err != nil {
		return nil, err
	}
	// The writer is Traefik's own log. The standard error is not.
	logger := log.New(log.Writer(), "holdfast: "+name+": ", 0)
	locks := newLocks(policy)
	return &middleware{
		next:     next,
		policy:   policy,
		crowd:    newCrowd(),
		locks:    locks,
		releases: &releases{locks: locks, logger: logger},
		logger:   logger,
	}, nil
}
