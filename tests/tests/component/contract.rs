//! The contract is valid and complete, and the component keeps to it.

use holdfast_tests::repository;
use wit_component::DecodedWasm;
use wit_parser::{Resolve, Stability, WorldItem, WorldKey};

fn contract() -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_dir(repository("wit")).expect("wit/ is valid");
    resolve
}

fn names<'a>(
    resolve: &Resolve,
    items: impl IntoIterator<Item = (&'a WorldKey, &'a WorldItem)>,
) -> Vec<String> {
    items.into_iter().map(|(key, _)| resolve.name_world_key(key)).collect()
}

#[test]
fn every_item_is_documented_and_says_since_when() {
    let resolve = contract();
    let since = |stability: &Stability, what: &str| {
        assert!(matches!(stability, Stability::Stable { .. }), "{what} does not say since when");
    };
    for (_, interface) in &resolve.interfaces {
        let interface_name = interface.name.clone().unwrap_or_default();
        assert!(interface.docs.contents.is_some(), "{interface_name} is not documented");
        since(&interface.stability, &interface_name);
        for (name, id) in &interface.types {
            let used = matches!(
                resolve.types[*id].kind,
                wit_parser::TypeDefKind::Type(wit_parser::Type::Id(_))
            );
            let what = format!("{interface_name}.{name}");
            assert!(used || resolve.types[*id].docs.contents.is_some(), "{what} is not documented");
            if !used {
                since(&resolve.types[*id].stability, &what);
            }
        }
        for (name, function) in &interface.functions {
            let what = format!("{interface_name}.{name}");
            assert!(function.docs.contents.is_some(), "{what} is not documented");
            since(&function.stability, &what);
        }
    }
    for (_, world) in &resolve.worlds {
        assert!(world.docs.contents.is_some(), "{} is not documented", world.name);
        since(&world.stability, &world.name);
    }
    let worlds: Vec<_> = resolve.worlds.iter().map(|(_, world)| world.name.as_str()).collect();
    assert_eq!(worlds, ["guest", "plugin", "operator", "store-provider"]);
}

#[test]
fn the_component_imports_its_store_and_nothing_else() {
    let decoded = wit_component::decode(holdfast::COMPONENT).expect("a valid component");
    let DecodedWasm::Component(resolve, world) = decoded else {
        panic!("a package, not a component");
    };
    let world = &resolve.worlds[world];
    assert_eq!(
        names(&resolve, &world.imports),
        ["holdfast:lock/types@0.1.0", "holdfast:lock/store@0.1.0"]
    );
    assert_eq!(
        names(&resolve, &world.exports),
        [
            "holdfast:lock/lock@0.1.0",
            "holdfast:lock/lease@0.1.0",
            "holdfast:lock/json@0.1.0",
            "holdfast:lock/steps@0.1.0",
        ]
    );
}

#[test]
fn the_component_is_small() {
    let size = holdfast::COMPONENT.len();
    assert!(size < 77_000, "{size} bytes");
}
