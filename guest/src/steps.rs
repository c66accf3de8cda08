//! The export `steps`: every verb in every form, over a store that the host drives.

use alloc::{string::String, vec::Vec};

use holdfast_rules::{
    scope::Scope,
    steps,
    types::{Answer, Begun, Form, Outcome, Request, StoreChoice, StoreInfo, Verb},
};
use spin::Mutex;

use crate::{Component, bindings::steps::Guest};

/// The scopes that the host configured. The index of a scope is its number.
static SCOPES: Mutex<Vec<Option<Scope>>> = Mutex::new(Vec::new());

impl Guest for Component {
    fn configure(number: u32, stores: Vec<StoreInfo>) -> Result<(), String> {
        let scope = Scope::new(&stores)?;
        let mut scopes = SCOPES.lock();
        let position = number as usize;
        if scopes.len() <= position {
            scopes.resize_with(position + 1, || None);
        }
        scopes[position] = Some(scope);
        Ok(())
    }

    fn forget(number: u32) {
        if let Some(scope) = SCOPES.lock().get_mut(number as usize) {
            *scope = None;
        }
    }

    fn begin(number: u32, store: StoreChoice, request: Request) -> Begun {
        match SCOPES.lock().get(number as usize) {
            Some(Some(scope)) => steps::begin(scope, &store, request),
            _ => panic!("scope {number} is not configured"),
        }
    }

    fn end(verb: Verb, form: Form, outcome: Outcome) -> Answer {
        steps::end(verb, form, outcome)
    }
}
