package holdfast

import (
	"log"
	"net/http"
	"time"
)

// middleware takes a lock around each request that its policy matches.
type middleware struct {
	next     http.Handler
	policy   *policy
	crowd    *crowd
	locks    *locks
	releases *releases
	logger   *log.Logger
}

func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	removeFencingToken(r.Header)
	if !m.policy.matches.includes(r) {
		m.next.ServeHTTP(w, r)
		return
	}
	resource := m.policy.resource.of(r)
	if resource == "" || len(resource) > longestResource {
		// Otherwise a client could choose to go without a lock.
		m.policy.refused.write(w)
		return
	}
	if !m.crowd.join(resource, m.policy.maxWaiting) {
		m.policy.refused.write(w)
		return
	}
	owner, err := newOwner()
	if err != nil {
		m.crowd.leave(resource)
		m.inDoubt(w, r, resource, err)
		return
	}
	taken, token, err := m.locks.acquire(r.Context(), resource, owner)
	m.crowd.leave(resource)
	until := time.Now().Add(m.policy.ttl)
	switch {
	case err != nil:
		// The request need not wait for this: a server that failed to answer may not answer this call either.
		go m.releases.release(resource, owner, until)
		m.inDoubt(w, r, resource, err)
	case !taken:
		m.policy.refused.write(w)
	case r.Context().Err() != nil:
		m.releases.release(resource, owner, until)
		m.policy.refused.write(w)
	default:
		if token != "" {
			r.Header.Set(fencingToken, token)
		}
		m.underLock(w, r, resource, owner, until)
	}
}

// underLock asks the upstream, and releases the lock when that has ended, unless the upstream may still work and the lock
// is to be kept then.
func (m *middleware) underLock(w http.ResponseWriter, r *http.Request, resource, owner string, until time.Time) {
	upstream := newAnswer()
	returned := false
	// A proxy whose client or upstream leaves amid an answer panics. The panic continues after this function.
	defer func() {
		// A client may leave as soon as it has the whole answer, before the proxy has returned.
		answered := returned && upstream.begun.Load()
		clientLeft := r.Context().Err() != nil && !answered
		gaveUp := m.policy.upstreamTimeout > 0 && upstream.isDue(m.policy.upstreamTimeout)
		if m.policy.keep && (clientLeft || gaveUp) {
			return
		}
		m.releases.release(resource, owner, until)
	}()
	m.next.ServeHTTP(w, r.WithContext(upstream.watched(r.Context())))
	returned = true
}

// inDoubt handles a request when nobody knows who has the lock.
func (m *middleware) inDoubt(w http.ResponseWriter, r *http.Request, resource string, err error) {
	if r.Context().Err() != nil {
		// The client has left, which ended the call.
		m.policy.refused.write(w)
		return
	}
	m.logger.Printf("acquire of %s: %v", resource, err)
	if m.policy.open {
		m.next.ServeHTTP(w, r)
	} else {
		m.policy.refused.write(w)
	}
}
