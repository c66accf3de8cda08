//! The engine that runs the lock component and nothing else.

use wasmtime::{
    Engine, PoolingAllocationConfig, Result,
    component::{Component, Linker},
};

use super::{clock, instance::State};
use crate::{bindings::HostSidePre, limits::Limits};

/// Loads the component into an engine of its own, ready to be instantiated.
///
/// Its `store` import traps: the steps never call it, and a synchronous engine could not wait for it.
pub(super) fn load(limits: &Limits) -> Result<HostSidePre<State>> {
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
    clock::tick(&engine)?;

    let component: Component = holdfast_component::load(&engine)?;
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&component)?;
    HostSidePre::new(linker.instantiate_pre(&component)?)
}
