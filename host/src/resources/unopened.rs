//! A store that is not opened, because the options ask for another one only.

use std::{future::ready, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use super::{definition::StoreDefinition, opened::OpenedStore};
use crate::store::{Acquired, Failure, Released, Store};

/// Refuses every call.
struct Unopened;

impl Store for Unopened {
    fn acquire<'a>(
        &'a self,
        _key: &'a str,
        _owner: &'a str,
        _ttl: Duration,
    ) -> BoxFuture<'a, Result<Acquired, Failure>> {
        Box::pin(ready(Err(refusal())))
    }

    fn release<'a>(
        &'a self,
        _key: &'a str,
        _owner: &'a str,
    ) -> BoxFuture<'a, Result<Released, Failure>> {
        Box::pin(ready(Err(refusal())))
    }
}

fn refusal() -> Failure {
    Failure::not_done("this store was not opened, only another one")
}

/// The store in place of the one that is defined. It has no key prefix, which nobody has checked.
pub(super) fn unopened(definition: &StoreDefinition) -> OpenedStore {
    OpenedStore {
        name: definition.name.clone(),
        component_type: definition.component_type.clone(),
        version: definition.version.clone(),
        key_prefix: None,
        fencing: false,
        store: Arc::new(Unopened),
    }
}
