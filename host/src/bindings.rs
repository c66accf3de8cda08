//! What the contract in `wit/` generates for the host. Nothing is written here by hand.

#![allow(missing_docs, clippy::all)]

/// `store`, as the host lends it.
pub mod provider {
    wasmtime::component::bindgen!({
        path: "wit",
        interfaces: "import holdfast:lock/store@0.1.0;",
        imports: { default: async },
    });
}

/// `lock`, as the host lends it to a plugin.
pub mod plugin {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "plugin",
        imports: { default: async },
    });
}

/// The lock component, as the host calls it.
pub mod guest {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "guest",
        with: { "holdfast:lock/store": super::provider::holdfast::lock::store },
        require_store_data_send: true,
    });
}
