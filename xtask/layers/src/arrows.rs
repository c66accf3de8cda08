//! Arrows between the files of a crate: from the file that names an item to the file that defines it.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Arm, Attribute, Field, Ident, ImplItem, Item, ItemUse, Macro, Meta, Path, Stmt, TraitItem,
    Variant,
    visit::{self, Visit},
};

use crate::modules::{Crate, attributes, imports, is_reexport, is_test_only, text};

/// Where a file names something of another.
#[derive(Clone, Debug)]
pub struct Place {
    pub line: usize,
    /// The path as it is written.
    pub path: String,
}

/// For each pair of files that have an arrow, the first place that makes it. A file is identified by its
/// module.
pub type Arrows = BTreeMap<(usize, usize), Place>;

/// All arrows of a crate.
pub fn collect(krate: &Crate) -> Arrows {
    let mut arrows = Arrows::new();
    for (module, content) in krate.modules.iter().enumerate() {
        let mut names = Names { krate, module, arrows: &mut arrows };
        for item in &content.syntax {
            names.visit_item(item);
        }
    }
    arrows
}

/// Visits the code of one module.
struct Names<'a> {
    krate: &'a Crate,
    module: usize,
    arrows: &'a mut Arrows,
}

impl Names<'_> {
    fn add(&mut self, path: &[Ident], definition: Option<usize>) {
        let (Some(definition), Some(first)) = (definition, path.first()) else { return };
        let from = self.krate.modules[self.module].file_module;
        let to = self.krate.modules[definition].file_module;
        if from != to {
            let written = path.iter().map(text).collect::<Vec<_>>().join("::");
            let place = Place { line: first.span().start().line, path: written };
            self.arrows.entry((from, to)).or_insert(place);
        }
    }

    fn path(&mut self, path: &[Ident]) {
        self.add(path, self.krate.definition(self.module, path));
    }

    /// The paths in a macro's input, which may be anything.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<Ident> = Vec::new();
        let mut colons_after_path = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons_after_path != 2 {
                        self.path(&path);
                        path.clear();
                    }
                    path.push(ident);
                    colons_after_path = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() => {
                    colons_after_path += 1
                }
                other => {
                    self.path(&path);
                    path.clear();
                    colons_after_path = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.path(&path);
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_only(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if is_reexport(item) {
            return;
        }
        for import in imports(item) {
            // The names of a glob import are seen where they are used.
            if import.name.is_some() {
                self.path(&import.path);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            let idents: Vec<_> =
                path.segments.iter().map(|segment| segment.ident.clone()).collect();
            self.path(&idents);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        if let Some(name) = call.path.get_ident() {
            self.add(std::slice::from_ref(name), self.krate.macro_definition(self.module, name));
        }
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::Path(_) => {}
            Meta::List(list) => self.tokens(list.tokens.clone()),
            Meta::NameValue(pair) => self.visit_expr(&pair.value),
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => &item.attrs[..],
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !is_test_only(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast TraitItem) {
        let attributes = match item {
            TraitItem::Const(item) => &item.attrs[..],
            TraitItem::Fn(item) => &item.attrs,
            TraitItem::Type(item) => &item.attrs,
            TraitItem::Macro(item) => &item.attrs,
            _ => &[],
        };
        if !is_test_only(attributes) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if !is_test_only(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        if !is_test_only(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        if !is_test_only(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        let attributes = match statement {
            Stmt::Local(local) => &local.attrs[..],
            Stmt::Macro(call) => &call.attrs,
            _ => &[],
        };
        if !is_test_only(attributes) {
            visit::visit_stmt(self, statement);
        }
    }
}
