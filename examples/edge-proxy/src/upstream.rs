//! The one server that plugins may send requests to.

use hyper::{
    Request, Response,
    http::uri::{Authority, Scheme},
};
use wasmtime_wasi_http::{
    Error, RequestOptions, Result, WasiBody, WasiHttpHooks, default_send_request,
};

/// Lets requests to one server through.
pub struct Upstream {
    authority: Authority,
}

type Done = Box<dyn Future<Output = Result<()>> + Send>;

impl Upstream {
    /// The server, as plugins name it.
    pub fn new(authority: Authority) -> Self {
        Self { authority }
    }
}

impl WasiHttpHooks for Upstream {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Done,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Done)>> + Send> {
        let allowed = request.uri().authority() == Some(&self.authority)
            && request.uri().scheme() == Some(&Scheme::HTTP);
        Box::new(async move {
            if !allowed {
                return Err(Error::HttpRequestDenied);
            }
            let (response, done) = default_send_request(request, options).await?;
            Ok((response.map(WasiBody::new), Box::new(done) as Done))
        })
    }
}
