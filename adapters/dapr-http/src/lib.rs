//! Dapr's HTTP API for locks on a stock runtime: a handler of `wasi:http` over the lock component's
//! `json`. Of `store` it asks only which ones there are, for the metadata.
//!
//! Built for `wasm32-wasip2` this is a component that exports `wasi:http/incoming-handler`. It answers as
//! `holdfast serve` does, byte for byte: what a path means and what replies look like is
//! `holdfast-dapr-api`, which both share. Which requests wait for which, and how many instances there
//! are, is the runtime's business.
//!
//! | module | what lives there |
//! |---|---|
//! | `settings` | what the environment says |
//! | `api` | the answer to a request |
//! | `body` | the reading of a request's body |
//! | `response` | the sending of a reply |

#![no_std]

extern crate alloc;
extern crate holdfast_abi as _;

mod api;
#[allow(unsafe_code, clippy::all)]
mod bindings;
mod body;
mod response;
mod settings;

#[cfg(target_family = "wasm")]
#[allow(unsafe_code)]
mod export {
    use super::Component;
    wasip2::http::proxy::export!(Component);
}

use wasip2::{
    exports::http::incoming_handler::Guest,
    http::types::{IncomingRequest, ResponseOutparam},
};

/// The handler.
pub struct Component;

impl Guest for Component {
    fn handle(request: IncomingRequest, response: ResponseOutparam) {
        let reply = api::answer(&request);
        response::send(response, &reply);
    }
}
