//! The Holdfast lock as a WebAssembly component.
//!
//! Built for `wasm32-wasip2` this crate is the component `holdfast:lock/guest`, which imports nothing but
//! `holdfast:lock/store` and its types. It is a thin layer over [`holdfast_rules`]: each export passes its
//! arguments to the rules.
//!
//! | module | what lives there |
//! |---|---|
//! | `lock`, `lease`, `json` | the exports that call the imported store themselves |
//! | `imported` | the stores of the imported `store` |
//! | `steps` | the export for a host that drives the store |
//! | `bindings` | the traits that the contract in `wit/` generates |

#![no_std]

extern crate alloc;
extern crate holdfast_abi as _;

mod bindings;
mod imported;
mod json;
mod lease;
mod lock;
mod steps;

/// The component, which implements the exports.
struct Component;

#[cfg(target_family = "wasm")]
#[allow(unsafe_code)]
mod export {
    use super::Component;
    crate::bindings::export!(Component with_types_in crate::bindings);
}
