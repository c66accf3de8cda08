//! The values of the contract, generated from `wit/`. Nothing is written here by hand.

#![allow(unsafe_code, missing_docs, clippy::all)]

wit_bindgen::generate!({
    path: "wit",
    inline: "
        package holdfast:rules@0.1.0;

        world values {
            import holdfast:lock/types@0.1.0;
        }
    ",
    additional_derives: [PartialEq, Eq],
    generate_all,
});
