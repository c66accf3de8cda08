//! The component's two doors decide alike: `lock`, `lease` and `json`, which run the steps themselves over the
//! store that is lent to them, and `steps`, which the host drives.

use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use holdfast::{
    Error, LeaseOptions, LockError, Locks, Reply, Resource, Verb,
    embed::store::{self, StoreView},
    store::{Failure, memory::MemoryStore},
};
use holdfast_tests::{
    calls::{free, take},
    fake_store::{self, Answer, FakeStore, not_done, unknown},
};
use proptest::prelude::*;
use wasmtime::{
    Config, Engine,
    component::{Component, Linker},
};

mod guest {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package holdfast:test;

            world doors {
                import holdfast:lock/store@0.1.0;
                export holdfast:lock/lock@0.1.0;
                export holdfast:lock/lease@0.1.0;
                export holdfast:lock/json@0.1.0;
            }
        ",
        exports: { default: async },
        with: { "holdfast:lock/types": ::holdfast::types },
    });
}

/// A call, or time that passes.
#[derive(Clone, Debug)]
enum Call {
    TryLock { store: String, resource: String, owner: String, seconds: i32 },
    Unlock { store: String, resource: String, owner: String },
    Acquire { store: String, resource: String, owner: String, ttl: u64 },
    Extend { store: String, resource: String, owner: String, ttl: u64, may_shorten: bool },
    Inspect { store: String, resource: String },
    TryLockJson { store: String, body: Vec<u8> },
    UnlockJson { store: String, body: Vec<u8> },
    Wait { milliseconds: u64 },
}

/// The result of a call, in a form that both doors have.
#[derive(Debug, PartialEq)]
enum Given {
    Verdict(String),
    Reply(Reply),
    Nothing,
}

impl Given {
    fn verdict(verdict: Result<impl Debug, LockError>) -> Self {
        Self::Verdict(format!("{verdict:?}"))
    }
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let store = || {
        prop_oneof![
            8 => Just("lockstore"),
            4 => Just("other"),
            2 => Just("broken"),
            1 => Just("nowhere"),
        ]
        .prop_map(String::from)
    };
    let name = |names: &'static [&'static str]| prop::sample::select(names).prop_map(String::from);
    let resource = move || name(&["r", "s", "ü/\"<", "", "a||b"]);
    let owner = move || name(&["a", "b", "c||d", ""]);
    let seconds = || prop_oneof![4 => 1..4_i32, 1 => any::<i32>(), 1 => Just(0)];
    let ttl = || prop_oneof![4 => 1..4_000_u64, 1 => any::<u64>(), 1 => Just(0)];
    let body = move || {
        prop_oneof![
            6 => (resource(), owner(), seconds()).prop_map(|(resource, owner, seconds)| {
                format!(
                    r#"{{"resourceId":{resource:?},"lockOwner":"{owner}","expiryInSeconds":{seconds}}}"#
                )
                .into_bytes()
            }),
            1 => proptest::collection::vec(any::<u8>(), 0..30),
            1 => Just(Vec::new()),
        ]
    };
    let call = prop_oneof![
        4 => (store(), resource(), owner(), seconds()).prop_map(
            |(store, resource, owner, seconds)| Call::TryLock { store, resource, owner, seconds }
        ),
        3 => (store(), resource(), owner())
            .prop_map(|(store, resource, owner)| Call::Unlock { store, resource, owner }),
        2 => (store(), resource(), owner(), ttl()).prop_map(
            |(store, resource, owner, ttl)| Call::Acquire { store, resource, owner, ttl }
        ),
        2 => (store(), resource(), owner(), ttl(), any::<bool>()).prop_map(
            |(store, resource, owner, ttl, may_shorten)| {
                Call::Extend { store, resource, owner, ttl, may_shorten }
            }
        ),
        1 => (store(), resource()).prop_map(|(store, resource)| Call::Inspect { store, resource }),
        3 => (store(), body()).prop_map(|(store, body)| Call::TryLockJson { store, body }),
        3 => (store(), body()).prop_map(|(store, body)| Call::UnlockJson { store, body }),
        2 => (0..3000_u64).prop_map(|milliseconds| Call::Wait { milliseconds }),
    ];
    proptest::collection::vec(call, 1..30)
}

/// A store that fails in both ways: by the key of an acquire, and each release with an unknown outcome.
fn broken() -> Arc<FakeStore> {
    FakeStore::answering(|call| {
        Answer::Failure(match call {
            fake_store::Call::Acquire { key, .. } if key.ends_with('r') => not_done("no such luck"),
            fake_store::Call::Acquire { .. } => {
                let held_until = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
                Failure::unknown("reply lost", Some(held_until))
            }
            fake_store::Call::Release { .. } | fake_store::Call::Inspect { .. } => {
                unknown("reply lost")
            }
        })
    })
}

/// Both doors over the same kinds of stores, each over its own.
fn locks() -> Locks {
    Locks::builder()
        .app_id("app1")
        .store("lockstore", Arc::new(MemoryStore::new()))
        .store_with_key_prefix("other", "Name", Arc::new(MemoryStore::new()))
        .store_with_key_prefix("broken", "none", broken())
        .build()
        .unwrap()
}

async fn by_steps(locks: &Locks, call: &Call) -> Given {
    match call {
        Call::TryLock { store, resource, owner, seconds } => {
            let seconds = u64::try_from(*seconds).unwrap_or(0);
            Given::verdict(take(locks, store, resource, owner, seconds).await.map_err(lock_error))
        }
        Call::Unlock { store, resource, owner } => {
            Given::verdict(free(locks, store, resource, owner).await.map_err(lock_error))
        }
        Call::Acquire { store, resource, owner, ttl } => {
            let options = LeaseOptions { owner: Some(owner.clone()), ttl: *ttl, ..lease() };
            let lease = locks.acquire(Resource { store, id: resource }, &options).await;
            Given::verdict(lease.map_err(lock_error))
        }
        Call::Extend { store, resource, owner, ttl, may_shorten } => {
            let (resource, ttl) = (Resource { store, id: resource }, Duration::from_millis(*ttl));
            let extended = locks.extend(resource, owner, ttl, *may_shorten).await;
            Given::verdict(extended.map_err(lock_error))
        }
        Call::Inspect { store, resource } => {
            let holding = locks.inspect(Resource { store, id: resource }).await;
            Given::verdict(holding.map_err(lock_error))
        }
        Call::TryLockJson { store, body } => {
            Given::Reply(locks.json(Verb::TryLock, store, body).await.unwrap())
        }
        Call::UnlockJson { store, body } => {
            Given::Reply(locks.json(Verb::Unlock, store, body).await.unwrap())
        }
        Call::Wait { milliseconds } => {
            tokio::time::advance(Duration::from_millis(*milliseconds)).await;
            Given::Nothing
        }
    }
}

/// A lease that does not wait: time that passes for one door passes for the other.
fn lease() -> LeaseOptions {
    LeaseOptions::new(Duration::ZERO)
}

fn lock_error(error: Error) -> LockError {
    match error {
        Error::Lock(error) => error,
        error => panic!("{error}"),
    }
}

struct Composed {
    store: wasmtime::Store<Locks>,
    guest: guest::Doors,
}

impl Composed {
    async fn new(component: &Component, linker: &Linker<Locks>) -> Self {
        let mut store = wasmtime::Store::new(component.engine(), locks());
        let guest = guest::Doors::instantiate_async(&mut store, component, linker).await.unwrap();
        Self { store, guest }
    }

    async fn call(&mut self, call: &Call) -> Given {
        let (lock, json) = (self.guest.holdfast_lock_lock(), self.guest.holdfast_lock_json());
        let lease_door = self.guest.holdfast_lock_lease();
        let store = &mut self.store;
        match call {
            Call::TryLock { store: name, resource, owner, seconds } => {
                let verdict = lock.call_try_lock(store, name, resource, owner, *seconds).await;
                Given::verdict(verdict.unwrap())
            }
            Call::Unlock { store: name, resource, owner } => {
                Given::verdict(lock.call_unlock(store, name, resource, owner).await.unwrap())
            }
            Call::Acquire { store: name, resource, owner, ttl } => {
                let options = LeaseOptions { owner: Some(owner.clone()), ttl: *ttl, ..lease() };
                let lease = lease_door.call_acquire(store, name, resource, &options).await;
                Given::verdict(lease.unwrap())
            }
            Call::Extend { store: name, resource, owner, ttl, may_shorten } => {
                let extended =
                    lease_door.call_extend(store, name, resource, owner, *ttl, *may_shorten).await;
                Given::verdict(extended.unwrap())
            }
            Call::Inspect { store: name, resource } => {
                Given::verdict(lease_door.call_inspect(store, name, resource).await.unwrap())
            }
            Call::TryLockJson { store: name, body } => {
                Given::Reply(json.call_try_lock(store, name, body).await.unwrap())
            }
            Call::UnlockJson { store: name, body } => {
                Given::Reply(json.call_unlock(store, name, body).await.unwrap())
            }
            // The clock is one for both; the other door has already moved it.
            Call::Wait { .. } => Given::Nothing,
        }
    }
}

#[test]
fn both_doors_decide_alike() {
    let engine = Engine::new(&Config::new()).unwrap();
    let component = Component::new(&engine, holdfast::COMPONENT).unwrap();
    let mut linker = Linker::new(&engine);
    store::add_to_linker(&mut linker, |locks: &mut Locks| StoreView { locks }).unwrap();

    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    proptest!(|(calls in calls())| {
        let differing = runtime().unwrap().block_on(async {
            let by_the_host = locks();
            let mut by_itself = Composed::new(&component, &linker).await;
            for (number, call) in calls.iter().enumerate() {
                let given = (by_steps(&by_the_host, call).await, by_itself.call(call).await);
                if given.0 != given.1 {
                    return Some((number, given));
                }
            }
            None
        });
        prop_assert!(differing.is_none(), "{:?}", differing);
    });
}
