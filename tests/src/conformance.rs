//! The promises that every store keeps, as one list of cases.
//!
//! This file has the list and the arguments of a case. The cases are in `conformance/`: a lock (`lock.rs`), leases
//! (`lease.rs`), calls of operators (`admin.rs`), keys and owners of any text (`text.rs`), the server that keeps the
//! locks (`server.rs`) and its failures (`faults.rs`). They share the steps in `steps.rs`. The test `conformance` knows
//! which stores exist.

use std::{future::Future, pin::Pin, sync::Arc};

use holdfast::store::Store;

mod admin;
mod faults;
mod lease;
mod lock;
mod redis;
mod server;
mod steps;
mod text;

pub use redis::{Opening, Redis};

/// A promise, and its test.
pub struct Case {
    /// The name of the test.
    pub name: &'static str,
    /// The promise, for a table.
    pub promise: &'static str,
    /// Panics when the store breaks the promise.
    pub run: Run,
}

/// The test of a case, by the store that it needs.
#[derive(Clone, Copy)]
pub enum Run {
    /// Needs an empty store.
    OnAny(fn(Arc<dyn Store>) -> Running),
    /// Needs an empty store of the library, because other stores have no verbs for operators.
    OnLibrary(fn(Arc<dyn Store>) -> Running),
    /// Needs a store in Redis, because it does something to the server.
    OnRedis(fn(Arc<dyn Redis>) -> Running),
}

/// A running case.
pub type Running = Pin<Box<dyn Future<Output = ()>>>;

macro_rules! on_any {
    ($($module:ident::$case:ident: $promise:literal,)*) => {
        [$(Case {
            name: stringify!($case),
            promise: $promise,
            run: Run::OnAny(|store| Box::pin($module::$case(store))),
        }),*]
    };
}

macro_rules! on_library {
    ($($module:ident::$case:ident: $promise:literal,)*) => {
        [$(Case {
            name: stringify!($case),
            promise: $promise,
            run: Run::OnLibrary(|store| Box::pin($module::$case(store))),
        }),*]
    };
}

macro_rules! on_redis {
    ($($module:ident::$case:ident: $promise:literal,)*) => {
        [$(Case {
            name: stringify!($case),
            promise: $promise,
            run: Run::OnRedis(|redis| Box::pin($module::$case(redis))),
        }),*]
    };
}

/// Every case. The compiler reports a case that is not listed as unused.
pub fn cases() -> impl Iterator<Item = Case> {
    let any = on_any![
        lock::grant: "a free key is granted",
        lock::held: "a held key is denied, to its owner too",
        lock::release_by_owner: "its owner frees it, and the next one gets it",
        lock::release_by_other: "another owner does not free it",
        lock::release_of_nothing: "releasing a key that nobody holds says so",
        lock::expiry: "it expires after its time to live, and not before",
        lock::longest: "the longest time to live is granted",
        lock::keys_are_apart: "keys are apart, down to a space at the end",
        lock::one_of_many: "of 60 callers at once one gets it",
        lease::validity: "a grant says for how long it is valid, and no longer than its time to live",
        lease::numbers: "fencing tokens grow across release, denial and expiry",
        lease::extend_by_owner: "its owner extends it, and it expires later",
        lease::extend_by_other: "another owner does not extend it, and nobody one that is gone",
        lease::extend_never_shortens: "an extend never shortens it unless asked",
        lease::inspect: "inspect returns the owner, the time that is left and the fencing token",
        lease::wait: "a waiter gets it once it is released",
        lock::exclusion: "no two hold it at a time, over 80 turns of 8 callers",
        text::any_text: "keys and owners may be any text: empty, Unicode, line breaks, commands",
        text::long_text: "keys and owners may be of 1 MB",
    ];
    let library = on_library![
        admin::list: "a list has each lock with the prefix, its owner and its time, page by page",
        admin::force_release: "an operator ends any hold, and gets its owner",
    ];
    let redis = on_redis![
        server::exact: "the server has exactly the key, the owner and the time to live",
        server::database: "the lock is in the database that was set",
        server::foreign_lock: "a lock that daprd took is respected",
        server::other_type: "a key of another type is not a free lock",
        server::login: "user and password are shown to the server",
        server::wrong_password: "a wrong password is refused, named and not repeated",
        server::no_password: "a missing password is refused",
        server::replicas: "a server with replicas is refused",
        faults::nobody_listens: "a server that is down is named, and nothing was done",
        faults::restart: "a restart of the server is recovered from",
        faults::killed_connections: "connections that the server ends are replaced",
        faults::forgotten_script: "a script that the server forgot is sent again",
        faults::loading: "LOADING: nothing was done",
        faults::read_only: "READONLY: nothing was done",
        faults::out_of_memory: "OOM: nothing was done",
        faults::frozen: "a server that stands still leaves the outcome open, in time",
        faults::lost_grant: "an acquire whose reply is lost: open, with a bound, sent once",
        faults::late_grant: "an acquire whose reply is late: the same",
        faults::lost_release: "a release whose reply is lost: open",
    ];
    any.into_iter().chain(library).chain(redis)
}
