//! Finds the module that defines the item of a path.

use std::collections::BTreeSet;

use syn::Ident;

use crate::modules::{Crate, text};

/// The module and the item that a path names. Both may have the same name.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    module: Option<usize>,
    /// The module that defines the item.
    item: Option<usize>,
}

impl Named {
    fn or(self, other: Self) -> Self {
        Self { module: self.module.or(other.module), item: self.item.or(other.item) }
    }

    fn is_nothing(self) -> bool {
        self.module.is_none() && self.item.is_none()
    }
}

/// The names that are being looked up. A name that needs itself is not found.
type Pending = BTreeSet<(usize, String)>;

impl Crate {
    /// The module that defines the item that `path` names in the module `from`. None if it names a module,
    /// something of another crate, or a local variable.
    pub fn definition(&self, from: usize, path: &[Ident]) -> Option<usize> {
        self.path(from, path, &mut Pending::new()).item
    }

    /// The module that defines the macro `name`: an item of this module, or of one around it.
    pub fn macro_definition(&self, from: usize, name: &Ident) -> Option<usize> {
        let mut module = Some(from);
        while let Some(this) = module {
            if self.modules[this].items.contains(&text(name)) {
                return Some(this);
            }
            module = self.modules[this].parent;
        }
        None
    }

    fn path(&self, from: usize, path: &[Ident], pending: &mut Pending) -> Named {
        let Some((first, rest)) = path.split_first() else { return Named::default() };
        let mut named = match text(first).as_str() {
            "crate" => Named { module: Some(0), item: None },
            "self" => Named { module: Some(from), item: None },
            "super" => Named { module: self.modules[from].parent, item: None },
            name => self.name(from, name, pending),
        };
        for segment in rest {
            // A name after an item is a variant, or an associated item of a type.
            let Some(module) = named.module else { return named };
            let next = match text(segment).as_str() {
                "super" => Named { module: self.modules[module].parent, item: None },
                name => self.name(module, name, pending),
            };
            if next.is_nothing() {
                let generated = self.modules[module].has_generated_items.then_some(module);
                return Named { module: None, item: named.item.or(generated) };
            }
            named = next;
        }
        named
    }

    fn name(&self, from: usize, name: &str, pending: &mut Pending) -> Named {
        if !pending.insert((from, name.to_owned())) {
            return Named::default();
        }
        let module = &self.modules[from];
        let mut named = Named {
            module: module.children.get(name).copied(),
            item: module.items.contains(name).then_some(from),
        };
        for path in module.imports.get(name).into_iter().flatten() {
            named = named.or(self.path(from, path, pending));
        }
        if named.is_nothing() {
            for path in &module.globs {
                if let Some(other) = self.path(from, path, pending).module {
                    named = named.or(self.name(other, name, pending));
                }
            }
        }
        pending.remove(&(from, name.to_owned()));
        named
    }
}
