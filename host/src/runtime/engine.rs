//! The engine that runs the lock component and nothing else.

use wasmtime::{
    Engine, PoolingAllocationConfig, Result,
    component::{Component, Linker},
};

use super::{clock, instance::HostState};
use crate::{bindings::HostSidePre, limits::Limits};

/// Loads the component into an engine of its own, ready to be instantiated.
///
/// The fast form reserves more than 4 GiB of addresses for each instance. If the system does not have them, for example
/// under `ulimit -v`, the compact form takes its place.
pub(super) fn load(limits: &Limits) -> Result<HostSidePre<HostState>> {
    fast(limits).or_else(|refusal| {
        tracing::info!("the lock component runs in its compact form: {refusal:#}");
        compact()
    })
}

fn fast(limits: &Limits) -> Result<HostSidePre<HostState>> {
    let instances = u32::try_from(limits.instances)?;
    let mut allocation = PoolingAllocationConfig::new();
    allocation
        .total_component_instances(instances)
        // The component, and the two modules that adapt its imports and exports.
        .total_core_instances(instances.saturating_mul(4))
        .total_memories(instances)
        .max_memories_per_component(1)
        .total_tables(instances.saturating_mul(4))
        .max_memory_size(limits.instance_memory)
        .linear_memory_keep_resident(limits.instance_memory_kept);
    let mut config = holdfast_component::config();
    config.allocation_strategy(allocation);
    let engine = Engine::new(&config)?;
    prepare(&engine, &holdfast_component::load(&engine)?)
}

fn compact() -> Result<HostSidePre<HostState>> {
    let engine = Engine::new(&holdfast_component::compact_config())?;
    prepare(&engine, &holdfast_component::load_compact(&engine)?)
}

/// Links the component. Its import `store` traps, because the steps never call it, and a synchronous engine could not
/// wait for it.
fn prepare(engine: &Engine, component: &Component) -> Result<HostSidePre<HostState>> {
    clock::tick(engine)?;
    let mut linker = Linker::new(engine);
    linker.define_unknown_imports_as_traps(component)?;
    HostSidePre::new(linker.instantiate_pre(component)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        runtime::instance::Instance,
        types::{Begun, JsonRequest, Request, StoreChoice, Verb},
    };

    #[test]
    fn the_compact_form_runs_the_same_rules() {
        let limits = Limits::default();
        for component in [fast(&limits).unwrap(), compact().unwrap()] {
            let mut instance = Instance::new(&component, &limits).unwrap();
            let (steps, store) = instance.steps();
            steps.call_configure(&mut *store, 0, &[]).unwrap().unwrap();
            let request = Request::Json(JsonRequest { verb: Verb::TryLock, body: b"{}" });
            let begun = steps.call_begin(store, 0, StoreChoice::Unknown("s"), request).unwrap();
            assert!(matches!(begun, Begun::Answered(_)), "{begun:?}");
        }
    }
}
