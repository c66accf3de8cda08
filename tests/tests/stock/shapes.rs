//! The imports, exports and sizes of the compositions.

use std::collections::BTreeSet;

use holdfast_compositions::all;
use wasmtime::component::Component;

use crate::runtime::engine;

/// The imports of the store in Redis.
const SOCKETS: &[&str] = &[
    "wasi:cli/environment",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
];

/// An interface of types only, which no runtime has to provide.
const VALUES: &str = "holdfast:lock/types@0.1.0";

struct Shape {
    name: &'static str,
    /// The imports besides [`SOCKETS`].
    imports: &'static [&'static str],
    sockets: bool,
    exports: &'static [&'static str],
    /// The largest size, in bytes.
    largest: usize,
}

const SHAPES: [Shape; 4] = [
    Shape {
        name: "holdfast-lock.wasm",
        imports: &["holdfast:lock/store@0.1.0", VALUES],
        sockets: false,
        exports: &[
            "holdfast:lock/json@0.1.0",
            "holdfast:lock/lease@0.1.0",
            "holdfast:lock/lock@0.1.0",
            "holdfast:lock/steps@0.1.0",
        ],
        largest: 77_000,
    },
    Shape {
        name: "holdfast-lock-redis.wasm",
        imports: &[VALUES],
        sockets: true,
        exports: &["holdfast:lock/lease@0.1.0", "holdfast:lock/lock@0.1.0"],
        largest: 190_000,
    },
    Shape {
        name: "holdfast-lock-http.wasm",
        imports: &["wasi:http/types@0.2.12", VALUES],
        sockets: true,
        exports: &["wasi:http/incoming-handler@0.2.12"],
        largest: 240_000,
    },
    Shape {
        name: "holdfast-lock-cli.wasm",
        imports: &[
            "wasi:cli/exit@0.2.12",
            "wasi:cli/stderr@0.2.12",
            "wasi:cli/stdout@0.2.12",
            VALUES,
        ],
        sockets: true,
        exports: &["wasi:cli/run@0.2.12"],
        largest: 218_000,
    },
];

#[test]
fn every_composition_has_its_imports_exports_and_size() {
    for (composition, shape) in all().unwrap().iter().zip(SHAPES) {
        let name = composition.name;
        assert_eq!(name, shape.name);
        let component = Component::new(engine(), &composition.wasm).unwrap();
        let ty = component.component_type();
        let exports: BTreeSet<_> = ty.exports(engine()).map(|(name, _)| name.to_owned()).collect();
        assert_eq!(exports, set(shape.exports), "{name}");

        let imports: BTreeSet<_> = ty.imports(engine()).map(|(name, _)| name.to_owned()).collect();
        let mut expected = set(shape.imports);
        if shape.sockets {
            expected.extend(SOCKETS.iter().map(|interface| format!("{interface}@0.2.12")));
        }
        assert_eq!(imports, expected, "{name}");

        let size = composition.wasm.len();
        assert!(size <= shape.largest, "{name} has {size} bytes");
    }
}

#[test]
fn composing_again_gives_the_same_bytes() {
    assert_eq!(all().unwrap(), all().unwrap());
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
