//! Restricts the plugins' HTTP requests to one server.

use hyper::{
    Request, Response,
    http::uri::{Authority, Scheme},
};
use wasmtime_wasi_http::{
    Error, RequestOptions, Result, WasiBody, WasiHttpHooks, default_send_request,
};

/// Allows requests to one server over plain HTTP.
pub struct Upstream {
    authority: Authority,
}

type Done = Box<dyn Future<Output = Result<()>> + Send>;

impl Upstream {
    /// Allows requests to the server with this host and port.
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
