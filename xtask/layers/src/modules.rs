//! The modules of a crate: which file each is in, and which names it has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use syn::{
    Attribute, Expr, ExprLit, Ident, Item, ItemMod, ItemUse, Lit, Meta, Token, UseTree, Visibility,
    ext::IdentExt, punctuated::Punctuated, visit::Visit,
};

/// The modules of a crate, the root first.
pub struct Crate {
    pub modules: Vec<Module>,
}

/// A module, in a file of its own or inline.
pub struct Module {
    pub parent: Option<usize>,
    /// The module that the file belongs to: this one, unless it is inline.
    pub file_module: usize,
    /// The file, relative to the root of the workspace.
    pub file: PathBuf,
    pub children: BTreeMap<String, usize>,
    /// The names of the items that the module defines.
    pub items: BTreeSet<String>,
    /// The paths that each imported or re-exported name stands for.
    pub imports: BTreeMap<String, Vec<Vec<Ident>>>,
    /// The paths that it imports or re-exports everything from.
    pub globs: Vec<Vec<Ident>>,
    /// A macro defines items whose names are not known.
    pub has_generated_items: bool,
    /// Everything in it but modules and test code.
    pub syntax: Vec<Item>,
}

impl Crate {
    /// Reads the crate whose root is the file `path`. Files are named relative to `workspace`.
    pub fn read(path: &Path, workspace: &Path) -> Result<Self> {
        let mut reader = Reader { workspace, modules: Vec::new() };
        // As for a `mod.rs`, the files of child modules are beside it.
        let children = path.parent().unwrap_or(workspace);
        reader.file(None, path, children)?;
        Ok(Self { modules: reader.modules })
    }
}

/// A name that a `use` declaration introduces, or everything from a module.
pub struct Import {
    /// None for `*`.
    pub name: Option<String>,
    pub path: Vec<Ident>,
}

/// The names in a `use` declaration. Empty if it starts with `::`, and so names another crate.
pub fn imports(item: &ItemUse) -> Vec<Import> {
    let mut imports = Vec::new();
    if item.leading_colon.is_none() {
        add_imports(&item.tree, &mut Vec::new(), &mut imports);
    }
    imports
}

fn add_imports(tree: &UseTree, prefix: &mut Vec<Ident>, imports: &mut Vec<Import>) {
    let mut add = |name: Option<&Ident>, last: Option<&Ident>| {
        let path = prefix.iter().chain(last).cloned().collect();
        imports.push(Import { name: name.map(text), path });
    };
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.clone());
            add_imports(&path.tree, prefix, imports);
            prefix.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                add_imports(tree, prefix, imports);
            }
        }
        UseTree::Name(name) if name.ident == "self" => {
            let name = prefix.last().cloned();
            add(name.as_ref(), None);
        }
        UseTree::Name(name) => add(Some(&name.ident), Some(&name.ident)),
        UseTree::Rename(rename) if rename.ident == "self" => add(Some(&rename.rename), None),
        UseTree::Rename(rename) => add(Some(&rename.rename), Some(&rename.ident)),
        UseTree::Glob(_) => add(None, None),
    }
}

/// An identifier as text, without `r#`.
pub fn text(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// Whether the item with these attributes is compiled for tests only.
pub fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let is_test = path.segments.last().is_some_and(|last| last.ident == "test");
        is_test || path.is_ident("cfg") && attribute.parse_args().is_ok_and(|it| needs_test(&it))
    })
}

fn needs_test(condition: &Meta) -> bool {
    let path = condition.path();
    let Meta::List(list) = condition else {
        return path.is_ident("test") || path.is_ident("doctest");
    };
    let list = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    let list = list.unwrap_or_default();
    match path.get_ident() {
        Some(all) if all == "all" => list.iter().any(needs_test),
        Some(any) if any == "any" => list.iter().all(needs_test),
        _ => false,
    }
}

struct Reader<'a> {
    workspace: &'a Path,
    modules: Vec<Module>,
}

impl Reader<'_> {
    /// Adds the module in `path`, whose child modules are in the directory `children`.
    fn file(&mut self, parent: Option<usize>, path: &Path, children: &Path) -> Result<usize> {
        let unreadable = || format!("cannot read {}", path.display());
        let source = fs::read_to_string(path).with_context(unreadable)?;
        let syntax = syn::parse_file(&source).with_context(unreadable)?;
        let file = path.strip_prefix(self.workspace).unwrap_or(path).to_path_buf();
        let module = self.add(parent, self.modules.len(), file);
        self.items(module, syntax.items, path, children)?;
        Ok(module)
    }

    fn add(&mut self, parent: Option<usize>, file_module: usize, file: PathBuf) -> usize {
        self.modules.push(Module {
            parent,
            file_module,
            file,
            children: BTreeMap::new(),
            items: BTreeSet::new(),
            imports: BTreeMap::new(),
            globs: Vec::new(),
            has_generated_items: false,
            syntax: Vec::new(),
        });
        self.modules.len() - 1
    }

    fn items(
        &mut self,
        module: usize,
        items: Vec<Item>,
        path: &Path,
        children: &Path,
    ) -> Result<()> {
        for item in items {
            if is_test_only(attributes(&item)) {
                continue;
            }
            match item {
                Item::Mod(item) => self.module(module, item, path, children)?,
                item => {
                    let this = &mut self.modules[module];
                    this.items.extend(name(&item).map(text));
                    this.has_generated_items |= generates_items(&item);
                    Imports(this).visit_item(&item);
                    this.syntax.push(item);
                }
            }
        }
        Ok(())
    }

    fn module(&mut self, parent: usize, item: ItemMod, path: &Path, children: &Path) -> Result<()> {
        let name = text(&item.ident);
        let module = match (item.content, path_attribute(&item.attrs)) {
            (Some((_, items)), _) => {
                let Module { file_module, file, .. } = &self.modules[parent];
                let module = self.add(Some(parent), *file_module, file.clone());
                self.items(module, items, path, &children.join(&name))?;
                module
            }
            (None, Some(attribute)) => {
                let path = path.with_file_name(attribute);
                let children = path.parent().unwrap_or(children).to_path_buf();
                self.file(Some(parent), &path, &children)?
            }
            (None, None) => {
                let directory = children.join(&name);
                let (beside, inside) =
                    (directory.with_added_extension("rs"), directory.join("mod.rs"));
                let path = [beside, inside].into_iter().find(|path| path.is_file());
                let Some(path) = path else {
                    bail!("{} has no file for the module {name}", children.display());
                };
                self.file(Some(parent), &path, &directory)?
            }
        };
        self.modules[parent].children.insert(name, module);
        Ok(())
    }
}

/// Collects the imports of a module, also those inside of functions.
struct Imports<'a>(&'a mut Module);

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        for Import { name, path } in imports(item) {
            match name {
                Some(name) => self.0.imports.entry(name).or_default().push(path),
                None => self.0.globs.push(path),
            }
        }
    }
}

/// Whether a `use` declaration re-exports what it names.
pub fn is_reexport(item: &ItemUse) -> bool {
    match &item.vis {
        Visibility::Inherited => false,
        Visibility::Restricted(restricted) => !restricted.path.is_ident("self"),
        Visibility::Public(_) => true,
    }
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    })
}

/// `bindgen!`, `include!` and the like, but not `macro_rules!`.
fn generates_items(item: &Item) -> bool {
    matches!(item, Item::Macro(item) if item.ident.is_none())
}

fn name(item: &Item) -> Option<&Ident> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Macro(item) => item.ident.as_ref(),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::TraitAlias(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}

/// The attributes of an item.
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
