package holdfast

import (
	"context"
	"net/http/httptrace"
	"net/textproto"
	"sync/atomic"
)

// answer is whether the upstream has begun to answer.
type answer struct {
	begun atomic.Bool
}

// watched returns a context whose requests to the upstream are watched.
func (a *answer) watched(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// Another middleware may have asked somebody else before, or tried once already.
		GetConn:              func(hostPort string) { a.begun.Store(false) },
		GotFirstResponseByte: func() { a.begun.Store(true) },
		// The first byte was that of an interim response, and nothing tells of that of the answer any more.
		Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
			a.begun.Store(false)
			return nil
		},
	})
}
