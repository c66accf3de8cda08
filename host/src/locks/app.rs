//! The stores that one application may use.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::store::NamedStore;
use crate::{
    error::BuildError,
    runtime::{Pool, Scope},
    types::{StoreChoice, StoreInfo},
};

/// An application: its stores by name, and the scope by which the rules know them.
pub(super) struct App {
    pub(super) scope: Scope,
    /// The stores by name. Callers look up names, and add none.
    stores: HashMap<String, Choice, RandomState>,
}

/// The store that a call chose.
pub(super) struct Choice {
    position: u32,
    pub(super) store: Arc<NamedStore>,
}

impl App {
    pub(super) fn new(
        pool: &Pool,
        app_id: &str,
        stores: &[Arc<NamedStore>],
    ) -> Result<Self, BuildError> {
        let infos: Vec<StoreInfo> = stores.iter().map(|store| store.info(app_id)).collect();
        let scope = pool.scope(&infos)?;
        let choices = (0..).zip(stores).map(|(position, store)| {
            (store.name.clone(), Choice { position, store: Arc::clone(store) })
        });
        Ok(Self { scope, stores: choices.collect() })
    }

    /// The store of that name; `None` if the application may not use one.
    pub(super) fn store(&self, name: &str) -> Option<&Choice> {
        self.stores.get(name)
    }
}

/// A call's choice, in the form for the rules.
pub(super) fn chosen<'a>(choice: Option<&Choice>, name: &'a str) -> StoreChoice<'a> {
    match choice {
        Some(choice) => StoreChoice::Configured(choice.position),
        None => StoreChoice::Unknown(name),
    }
}
