//! Bindings of this component's world, generated from the contract.

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package holdfast:dapr-http@0.1.0;

        world adapter {
            import holdfast:lock/json@0.1.0;
            import holdfast:lock/store@0.1.0;
        }
    ",
    generate_all,
});

pub(crate) use holdfast::lock::{json, store};
