package holdfast

import (
	"log"
	"sync/atomic"
	"time"
)

// firstPause and longestPause are the first and the longest pause between two tries of a release; mostLate is the
// number of releases that may wait for another try at a time.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
	mostLate     = 4096
)

// releases frees locks, and retries a release that fails.
type releases struct {
	locks  *locks
	logger *log.Logger
	late   atomic.Int64
}

// release frees a lock that expires at until in any case. It returns after the first try; the request does not wait for
// further tries.
func (r *releases) release(resource, owner string, until time.Time) {
	mayPass, err := r.locks.release(resource, owner)
	if err == nil {
		return
	}
	if !mayPass || r.late.Add(1) > mostLate {
		if mayPass {
			r.late.Add(-1)
		}
		r.logger.Printf("%s may stay locked until it expires: %v", resource, err)
		return
	}
	r.logger.Printf("%s is not released yet, retrying: %v", resource, err)
	go r.again(resource, owner, until)
}

func (r *releases) again(resource, owner string, until time.Time) {
	defer r.late.Add(-1)
	for pause := firstPause; time.Now().Add(pause).Before(until); pause = 2 * pause {
		if pause > longestPause {
			pause = longestPause
		}
		time.Sleep(pause)
		mayPass, err := r.locks.release(resource, owner)
		if err == nil {
			return
		}
		if !mayPass {
			r.logger.Printf("%s may stay locked until it expires: %v", resource, err)
			return
		}
	}
}
