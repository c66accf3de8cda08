package holdfast

import (
	"context"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"
	"time"
)

// answer is whether the upstream was asked, and has begun to answer.
type answer struct {
	begun atomic.Bool
	// reported is whether the proxy reports the answer. Traefik's fast proxy reports only that a request was written.
	reported atomic.Bool
	// came is when the request came here; asked is how much later it was written to the upstream, or 0 if it was not.
	came  time.Time
	asked atomic.Int64
}

func newAnswer() *answer {
	return &answer{came: time.Now()}
}

// isDue is whether the upstream was asked, and has not begun to answer for at least this time.
func (a *answer) isDue(after time.Duration) bool {
	asked := time.Duration(a.asked.Load())
	return asked > 0 && a.reported.Load() && !a.begun.Load() && time.Since(a.came)-asked >= after
}

// watched returns a context whose requests to the upstream are watched.
func (a *answer) watched(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// Another middleware may have asked somebody else before, or tried once already.
		GetConn: func(hostPort string) {
			a.reported.Store(true)
			a.begun.Store(false)
			a.asked.Store(0)
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				a.asked.Store(int64(time.Since(a.came)))
			}
		},
		GotFirstResponseByte: func() { a.begun.Store(true) },
		// The first byte was that of an interim response, and nothing reports that of the answer any more.
		Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
			a.begun.Store(false)
			return nil
		},
	})
}
