//! Dapr's HTTP API for locks as a component, for stock runtimes.
//!
//! The component exports `wasi:http/incoming-handler` and imports `json` of the lock component. It answers as
//! `holdfast serve` does, byte for byte, because both take routes and replies from `holdfast-dapr-api`. It imports
//! `store` only to list the stores in the metadata. The runtime decides how many instances run and how many requests
//! each of them serves.
//!
//! | module | what lives there |
//! |---|---|
//! | `settings` | the settings, from environment variables |
//! | `api` | routes a request and makes the reply |
//! | `body` | reads the body of a request |
//! | `response` | sends a reply |

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
        let reply = api::handle(&request);
        response::send(response, &reply);
    }
}
