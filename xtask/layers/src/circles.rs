//! Circles of files, and of folders.
//!
//! A module whose child modules are files is a folder. In each folder, its own file, its other files and its
//! folders must form no circle, where a folder has all arrows of the files below it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use petgraph::{algo::tarjan_scc, graphmap::DiGraphMap};

use crate::{
    arrows::{Arrows, collect},
    modules::Crate,
};

/// The circles of a crate, each with the arrows that form it.
pub fn find(krate: &Crate) -> Vec<String> {
    let arrows = collect(krate);
    let mut faults = Vec::new();

    let files = arrows.keys().map(|&arrow| (arrow, vec![arrow]));
    for circle in circles(&files.collect()) {
        faults.push(report("files", krate, &arrows, &circle, |file| {
            krate.modules[file].file.clone()
        }));
    }
    for (folder, between) in in_folders(krate, &arrows) {
        let folders = between.keys().flat_map(|&(from, to)| [from, to]);
        let folders: BTreeSet<_> =
            folders.filter(|&module| module != folder && is_folder(krate, module)).collect();
        for circle in circles(&between) {
            // Otherwise it is a circle of files, and already found.
            if circle.members.iter().any(|member| folders.contains(member)) {
                faults.push(report("folders", krate, &arrows, &circle, |member| {
                    let file = krate.modules[member].file.clone();
                    if folders.contains(&member) { directory(file) } else { file }
                }));
            }
        }
    }
    faults
}

/// Arrows between files or folders, each with the arrows between files that it stands for.
type Between = BTreeMap<(usize, usize), Vec<(usize, usize)>>;

struct Circle {
    members: Vec<usize>,
    arrows: Vec<(usize, usize)>,
}

/// The largest sets whose members all reach each other.
fn circles(between: &Between) -> Vec<Circle> {
    let graph = DiGraphMap::<usize, ()>::from_edges(between.keys());
    let mut circles: Vec<_> = tarjan_scc(&graph)
        .into_iter()
        .filter(|members| members.len() > 1)
        .map(|mut members| {
            members.sort_unstable();
            let inside =
                |(from, to): &(usize, usize)| members.contains(from) && members.contains(to);
            let arrows = between.iter().filter(|(arrow, _)| inside(arrow));
            let arrows = arrows.flat_map(|(_, files)| files.iter().copied()).collect();
            Circle { members, arrows }
        })
        .collect();
    circles.sort_by(|one, other| one.members.cmp(&other.members));
    circles
}

/// For each folder, the arrows between its members.
fn in_folders(krate: &Crate, arrows: &Arrows) -> BTreeMap<usize, Between> {
    let mut folders = BTreeMap::<usize, Between>::new();
    for &(from, to) in arrows.keys() {
        let (from_path, to_path) = (path(krate, from), path(krate, to));
        let common = from_path.iter().zip(&to_path).take_while(|(one, other)| one == other).count();
        let folder = from_path[common - 1];
        // The folder itself stands for its own file.
        let member = |path: &[usize]| path.get(common).copied().unwrap_or(folder);
        let between = (member(&from_path), member(&to_path));
        folders.entry(folder).or_default().entry(between).or_default().push((from, to));
    }
    folders
}

/// The modules from the root of the crate down to this one.
fn path(krate: &Crate, module: usize) -> Vec<usize> {
    let parent = krate.modules[module].parent;
    let mut path = parent.map(|parent| path(krate, parent)).unwrap_or_default();
    path.push(module);
    path
}

fn is_folder(krate: &Crate, module: usize) -> bool {
    let children = &krate.modules[module].children;
    children
        .values()
        .any(|&child| krate.modules[child].file_module == child || is_folder(krate, child))
}

/// The directory of a module with child modules in files.
fn directory(file: PathBuf) -> PathBuf {
    if file.ends_with("mod.rs") {
        file.parent().map(PathBuf::from).unwrap_or(file)
    } else {
        file.with_extension("")
    }
}

fn report(
    what: &str,
    krate: &Crate,
    arrows: &Arrows,
    circle: &Circle,
    name: impl Fn(usize) -> PathBuf,
) -> String {
    let members: Vec<_> =
        circle.members.iter().map(|&member| name(member).display().to_string()).collect();
    let mut report = format!("circle of {what}: {}", members.join(", "));
    for arrow @ (from, to) in &circle.arrows {
        let place = &arrows[arrow];
        let (from, to) = (&krate.modules[*from].file, &krate.modules[*to].file);
        report += &format!(
            "\n  {}:{} names {} in {}",
            from.display(),
            place.line,
            place.path,
            to.display()
        );
    }
    report
}
