//! From the arguments to open stores and locks over them.

use anyhow::{Result, anyhow, bail};
use futures_util::future::join_all;
use holdfast::{
    Limits, Locks,
    policy::Resiliency,
    resources::{
        self, Component, ComponentMetrics, Level, Notice, Options, Resources,
        open::{OpenError, OpenStore, open},
    },
};

use crate::cli::Stores;

/// What came of opening a component's store.
pub type Opened = (Component, Result<OpenStore, OpenError>);

/// Reads the resource files and opens their stores, all at the same time, each under its policies.
pub async fn open_each(
    stores: &Stores,
    notify: &mut dyn FnMut(Notice),
) -> Result<Vec<Opened>, resources::LoadError> {
    let app_id = Some(stores.app_id.as_str()).filter(|app_id| !app_id.is_empty());
    let options = Options { app_id, env: &resources::process_env };
    let Resources { components, resiliency, .. } =
        resources::load_resources(&stores.resources_path, &options, notify)?;
    let opening = components.into_iter().map(async |component| {
        let opened = open(&component).await;
        (component, opened.map(|open| under_policies(open, &resiliency)))
    });
    Ok(join_all(opening).await)
}

fn under_policies(open: OpenStore, resiliency: &Resiliency) -> OpenStore {
    let names = resiliency.names_for(&open.name);
    if !names.is_empty() {
        let policy = resiliency.policy_for(&open.name);
        tracing::info!("calls of the store {} are under {names} ({policy})", open.name);
    }
    let store = resiliency.apply(&open.name, open.store);
    OpenStore { store, ..open }
}

/// All stores of the component files, less those that cannot be opened and may be missing.
pub async fn open_all(stores: &Stores) -> Result<Vec<OpenStore>> {
    let opened = open_each(stores, &mut log).await.map_err(|error| anyhow!("{error}"))?;
    let metrics = ComponentMetrics::new(&stores.app_id);
    let mut open = Vec::new();
    let mut errors = Vec::new();
    for (component, opened) in opened {
        metrics.opened(&opened);
        match opened {
            Ok(store) => open.push(store),
            Err(error) if component.ignore_errors => {
                tracing::warn!("left out, as its ignoreErrors asks: {error}");
            }
            Err(error) => errors.push(error.to_string()),
        }
    }
    if !errors.is_empty() {
        bail!("{}", errors.join("\n"));
    }
    Ok(open)
}

/// Locks over open stores.
pub fn locks(app_id: &str, stores: &[OpenStore], limits: Limits) -> Result<Locks> {
    let builder = Locks::builder().app_id(app_id).limits(limits);
    let builder = stores.iter().fold(builder, |builder, open| {
        builder.store_with_key_prefix(&open.name, &open.key_prefix, open.store.clone())
    });
    builder.build().map_err(|error| anyhow!("{error}"))
}

fn log(notice: Notice) {
    match notice.level {
        Level::Info => tracing::info!("{notice}"),
        Level::Warning => tracing::warn!("{notice}"),
    }
}
