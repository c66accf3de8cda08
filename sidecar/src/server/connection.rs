//! One connection, from its first byte to its end.

use std::{
    convert::Infallible,
    fmt::Display,
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use hyper::{
    Method, Request, Response, Version,
    body::{Body, Incoming},
    header::{CONNECTION, CONTENT_LENGTH, Entry, HeaderValue},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::yield_now,
    time::{Instant, Sleep, sleep_until},
};

use super::{
    body::{RequestBody, ResponseBody},
    control::{Control, Order, Side},
    http_api::HttpApi,
    protocol::{ApiKind, Pings, builder},
    response_lifetime::Lasting,
    streams::{NewStreams, Streams},
    turn::Turn,
    wire::{Ahead, Wire},
};

/// How the server ended a connection, where it was not hyper that did.
enum End<T> {
    Served(T),
    Closed(&'static str),
}

/// When this is dropped, the server has ended the connection unless its caller has.
struct EndByServer(Arc<Control>);

impl Drop for EndByServer {
    fn drop(&mut self) {
        self.0.ended(Side::Server);
    }
}

/// Serves the requests of a connection until it ends, or until an order or a time limit closes it.
pub(super) async fn serve<S>(
    stream: S,
    api: impl HttpApi,
    kind: ApiKind,
    pings: Pings,
    control: Arc<Control>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let wire = Wire::new(stream, control.clone());
    let shared = wire.share();
    let service = service_fn({
        let control = control.clone();
        move |request| answer(request, api.clone(), control.clone())
    });
    let new_streams = NewStreams::default();
    let builder = builder(kind, pings, new_streams.clone());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(wire), service));
    let mut streams = Streams::of(new_streams);
    let mut timer = pin!(None);
    let mut is_finishing = false;
    let mut poll = |cx: &mut Context<'_>| {
        loop {
            streams.poll(cx);
            if let Poll::Ready(served) = connection.as_mut().poll(cx) {
                return Poll::Ready(End::Served(served));
            }
            if streams.are_new() {
                continue;
            }
            let view = control.view(cx);
            if view.answering
                && let Poll::Ready(ahead) = shared.poll_ahead(cx)
            {
                if let Some(why) = left(&ahead, view.is_gone_at_end) {
                    return Poll::Ready(End::Closed(why));
                }
                if matches!(ahead, Ahead::TooMuch) {
                    connection.as_mut().graceful_shutdown();
                }
            }
            if expires(timer.as_mut(), view.deadline, cx) {
                return Poll::Ready(End::Closed("its caller took too long"));
            }
            match view.order {
                None => return Poll::Pending,
                Some(Order::Close) => return Poll::Ready(End::Closed("there was no more room")),
                Some(Order::Finish) if is_finishing || view.may_call => return Poll::Pending,
                Some(Order::Finish) => {
                    is_finishing = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    };
    // Dropped before the requests and their responses.
    let _end = EndByServer(control.clone());
    log(in_turns(&shared, &mut poll).await);
}

/// Polls a connection, in turns with the other tasks, until it ends.
async fn in_turns<S, T>(shared: &Wire<S>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let turn = Turn::new();
    poll_fn(|cx| {
        shared.begin_turn();
        let polled = turn.poll(cx, &mut poll);
        if polled.is_pending() && shared.is_put_off() {
            wake_behind_others(cx);
        }
        polled
    })
    .await
}

/// Why the connection ends, if reading ahead of an answer shows that its caller has left. A caller that sends nothing
/// more may be gone or not.
fn left(ahead: &Ahead, is_gone_at_end: bool) -> Option<&'static str> {
    match ahead {
        Ahead::Gone => Some("its caller has left"),
        Ahead::Ended if is_gone_at_end => Some("its caller may have left"),
        Ahead::Ended | Ahead::TooMuch => None,
    }
}

fn log(end: End<Result<(), impl Display>>) {
    match end {
        End::Served(Ok(())) => {}
        End::Served(Err(error)) => tracing::debug!("a connection failed: {error}"),
        End::Closed(why) => tracing::debug!("a connection was closed: {why}"),
    }
}

/// Has the runtime poll the task again, after it has looked for events of other connections: a task that woke itself in
/// the usual way would be polled many times before that.
fn wake_behind_others(cx: &mut Context<'_>) {
    // The first poll does it, so the rest of the future is not needed.
    let _pending = pin!(yield_now()).poll(cx);
}

/// Answers a request, which is in flight from the call of this function on.
fn answer<A: HttpApi>(
    request: Request<Incoming>,
    api: A,
    control: Arc<Control>,
) -> impl Future<Output = Result<Response<ResponseBody<A::Body>>, Infallible>> + Send {
    let has_body = !request.body().is_end_stream();
    let is_http2 = request.version() == Version::HTTP_2;
    let is_head = request.method() == Method::HEAD;
    let may_grant = !is_http2 && api.may_grant(request.method(), request.uri());
    let (in_flight, incomplete) = control.begin(is_http2, has_body, may_grant);
    async move {
        let request = request.map(|body| RequestBody::new(body, incomplete));
        // Boxed, because hyper moves this future several times and it is several kilobytes large.
        let mut response = Box::pin(api.answer(request)).await;
        let lasting = response.extensions_mut().remove::<Lasting>();
        // hyper leaves out the body over HTTP/1 only. Over HTTP/2, callers take a body for a protocol error.
        if is_http2 && is_head {
            return Ok(without_body(response));
        }
        let lasting = lasting.map(|lasting| {
            lasting.sent_by(&control);
            (lasting, in_flight)
        });
        if !is_http2 && control.is_ending() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // Over HTTP/1 the connection ends, whose only response it is.
        let patience = is_http2.then(|| control.patience());
        Ok(response.map(|body| ResponseBody::new(body, lasting, patience)))
    }
}

/// The response to a HEAD, which says how long the body would be. Like Go's, it does not say so of an empty one.
fn without_body<B: Body + Unpin>(mut response: Response<B>) -> Response<ResponseBody<B>> {
    let length = response.body().size_hint().exact().filter(|length| *length > 0);
    if let Some(length) = length
        && let Entry::Vacant(vacant) = response.headers_mut().entry(CONTENT_LENGTH)
    {
        vacant.insert(length.into());
    }
    response.map(|_| ResponseBody::none())
}

/// Whether the deadline has passed. The timer is moved only to an earlier deadline. When it fires, the deadline is read
/// again: so a request costs no timer.
fn expires(
    mut timer: Pin<&mut Option<Sleep>>,
    deadline: Option<Instant>,
    cx: &mut Context<'_>,
) -> bool {
    loop {
        match (timer.as_mut().as_pin_mut(), deadline) {
            (None, None) => return false,
            (None, Some(deadline)) => timer.set(Some(sleep_until(deadline))),
            (Some(mut sleep), deadline) => {
                if let Some(deadline) = deadline
                    && deadline < sleep.deadline()
                {
                    sleep.as_mut().reset(deadline);
                }
                if sleep.as_mut().poll(cx).is_pending() {
                    return false;
                }
                match deadline {
                    Some(deadline) if deadline <= Instant::now() => return true,
                    _ => timer.set(None),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, time::Duration};

    use bytes::Bytes;
    use http_body_util::{Empty, Full};
    use hyper::{
        body::{Frame, SizeHint},
        client::conn::http2,
    };
    use hyper_util::rt::TokioExecutor;
    use tokio::{
        io::{AsyncReadExt, ReadBuf, duplex, join, sink},
        sync::Semaphore,
        time::timeout,
    };

    use super::{super::control::CallerLimits, *};

    /// A caller of HTTP/2 that sends the same frame for as long as somebody reads.
    struct Frames {
        /// How many bytes of the next frame were sent.
        sent: usize,
    }

    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

    impl AsyncRead for Frames {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            while buffer.remaining() > 0 {
                let rest = &SETTINGS[self.sent..];
                let length = rest.len().min(buffer.remaining());
                buffer.put_slice(&rest[..length]);
                self.sent = (self.sent + length) % SETTINGS.len();
            }
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Clone)]
    struct Nothing;

    impl HttpApi for Nothing {
        type Body = Empty<Bytes>;

        async fn answer(&self, _: Request<RequestBody>) -> Response<Empty<Bytes>> {
            Response::default()
        }
    }

    /// The test would never end if the task did not let it go on: both have one thread.
    #[tokio::test]
    async fn a_caller_that_sends_frames_without_end_lets_others_go_on() {
        let hour = Duration::from_secs(3600);
        let limits = CallerLimits { head: hour, idle: None, stall: hour };
        let control = Arc::new(Control::new(limits, Arc::default()));
        let preface = &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..];
        let stream = join(preface.chain(Frames { sent: 0 }), sink());
        let pings = Pings { interval: hour, timeout: hour };
        let serving = tokio::spawn(serve(stream, Nothing, ApiKind::Grpc, pings, control.clone()));
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(!serving.is_finished());
        control.order(Order::Close);
        serving.await.unwrap();
    }

    /// A long body, whose end is counted.
    struct Page(Full<Bytes>, Arc<Semaphore>);

    impl Body for Page {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Pin::new(&mut self.0).poll_frame(cx)
        }

        fn size_hint(&self) -> SizeHint {
            self.0.size_hint()
        }
    }

    impl Drop for Page {
        fn drop(&mut self) {
            self.1.add_permits(1);
        }
    }

    #[derive(Clone)]
    struct Pages(Arc<Semaphore>);

    impl HttpApi for Pages {
        type Body = Page;

        async fn answer(&self, _: Request<RequestBody>) -> Response<Page> {
            Response::new(Page(Full::new(vec![b'x'; 100_000].into()), self.0.clone()))
        }
    }

    #[tokio::test]
    async fn a_response_that_is_not_read_ends_and_its_connection_goes_on() {
        let hour = Duration::from_secs(3600);
        let limits = CallerLimits { head: hour, idle: None, stall: Duration::from_millis(100) };
        let control = Arc::new(Control::new(limits, Arc::default()));
        let pings = Pings { interval: hour, timeout: hour };
        let ended = Arc::new(Semaphore::new(0));
        let (near, far) = duplex(1 << 20);
        tokio::spawn(serve(far, Pages(ended.clone()), ApiKind::Grpc, pings, control));
        let mut client = http2::Builder::new(TokioExecutor::new());
        client.initial_stream_window_size(0);
        let (mut client, connection) = client.handshake(TokioIo::new(near)).await.unwrap();
        tokio::spawn(connection);
        let mut ask = || client.send_request(Request::new(Empty::<Bytes>::new()));
        let unread = ask().await.unwrap();
        timeout(Duration::from_secs(60), ended.acquire()).await.expect("its end").unwrap().forget();
        assert_eq!(ask().await.unwrap().status(), 200);
        drop(unread);
    }
}
