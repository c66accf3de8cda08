//! Files that a package takes from outside its own directory. They would be missing in its `.crate` file. A package
//! uses another one as a dependency.

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
        if is_own_file && !is_inside(&normal(&module.file), &package.directory) {
            let file = normal(&module.file);
            let package = match package.directory.as_os_str().is_empty() {
                // The directory is the root of the workspace.
                true => Path::new("."),
                false => &package.directory,
            };
            outside.found.push(format!("{} has a module in {}", package.display(), file.display()));
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
            if !is_inside(&path, self.package) {
                let file = self.file.display();
                self.found.push(format!("{file} includes {}", path.display()));
            }
        }
        visit::visit_macro(self, call);
    }
}

/// Whether a path is below a directory. Both are relative to the root of the workspace.
fn is_inside(path: &Path, directory: &Path) -> bool {
    path.is_relative() && !path.starts_with("..") && path.starts_with(directory)
}

/// The path without `..` in it, except at its start: there it leads out of the workspace.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match (component, normal.components().next_back()) {
            (Component::ParentDir, Some(Component::Normal(_))) => {
                normal.pop();
            }
            (other, _) => normal.push(other),
        }
    }
    normal
}
