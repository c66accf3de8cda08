//! Bindings of this component's world, generated from the contract.

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package holdfast:cli@0.1.0;

        world adapter {
            import holdfast:lock/lock@0.1.0;
            import holdfast:lock/json@0.1.0;
        }
    ",
    generate_all,
});

pub(crate) use holdfast::lock::{json, lock, types};
