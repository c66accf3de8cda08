//! The host's bindings, generated from the contract in `wit/`. Nothing is written here by hand.

#![allow(missing_docs, clippy::all)]

// One world has everything that the host lends and calls, so that each type exists once.
wasmtime::component::bindgen!({
    path: "wit",
    inline: "
        package holdfast:host@0.1.0;

        world host-side {
            import holdfast:lock/store@0.1.0;
            import holdfast:lock/lock@0.1.0;
            import holdfast:lock/lease@0.1.0;
            import holdfast:lock/admin@0.1.0;
            export holdfast:lock/steps@0.1.0;
        }
    ",
    imports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: false },
    additional_derives: [PartialEq, Eq],
    require_store_data_send: true,
});
