//! Files that a package reads from outside its own directory. They would be missing in its `.crate` file.

use std::path::{Component, Path, PathBuf};

use syn::{
    LitStr, Macro,
    visit::{self, Visit},
};

use crate::{modules::Crate, packages::Package};

/// Modules (`#[path]`) and included files of a crate that are outside its package.
pub fn find(krate: &Crate, package: &Package) -> Vec<String> {
    let mut outside =
        Outside { package: &package.directory, file: PathBuf::new(), found: Vec::new() };
    for (index, module) in krate.modules.iter().enumerate() {
        outside.file = module.file.clone();
        let is_own_file = module.file_module == index;
        if is_own_file && !normal(&module.file).starts_with(&package.directory) {
            let (package, file) = (package.directory.display(), normal(&module.file));
            outside.found.push(format!("{package} has a module in {}", file.display()));
            continue;
        }
        for item in &module.syntax {
            outside.visit_item(item);
        }
    }
    outside.found
}

struct Outside<'a> {
    package: &'a Path,
    file: PathBuf,
    found: Vec<String>,
}

impl<'ast> Visit<'ast> for Outside<'_> {
    fn visit_macro(&mut self, call: &'ast Macro) {
        let name = call.path.segments.last().map(|last| last.ident.to_string());
        if matches!(name.as_deref(), Some("include" | "include_bytes" | "include_str"))
            && let Ok(included) = call.parse_body::<LitStr>()
        {
            let path = normal(&self.file.with_file_name(included.value()));
            if !path.starts_with(self.package) {
                let file = self.file.display();
                self.found.push(format!("{file} includes {}", path.display()));
            }
        }
        visit::visit_macro(self, call);
    }
}

/// The path without `..` in it.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}
