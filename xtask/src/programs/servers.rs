//! Servers other than Redis that tests start: those on `PATH`, or Debian's below `target/`.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::group::{Group, Place, Program};
use crate::{files, needs::debian, process::which};

pub const SERVERS: Group = Group {
    choice: "HOLDFAST_SERVERS",
    directory: "HOLDFAST_SERVER_",
    what: "the server",
    made: "servers",
    shared: None,
    programs: &[
        Program {
            name: "nginx",
            sources: &[],
            tools: &[],
            version: &["sh", "-c", NGINX_OR_APT],
            prepare: nginx,
        },
        Program {
            name: "registry",
            sources: &[],
            tools: &[],
            version: &["sh", "-c", "command -v docker-registry || apt-get --version"],
            prepare: registry,
        },
    ],
};

/// The directory of nginx's modules in Debian.
const MODULES: &str = "usr/lib/nginx/modules";

const NJS: &str = "ngx_http_js_module.so";

/// Tests need an nginx with njs.
const NGINX_OR_APT: &str = "{ test -e /usr/lib/nginx/modules/ngx_http_js_module.so && command -v nginx; } \
                            || apt-get --version";

/// Puts `nginx` and its module into `place`.
fn nginx(place: &Place) -> Result<()> {
    let system = Path::new("/").join(MODULES).join(NJS);
    let installed = if system.exists() { which("nginx") } else { None };
    let module = match installed {
        Some(nginx) => {
            link(&nginx, &place.made.join("nginx"))?;
            system
        }
        None => {
            let unpacked = unpacked(place, &["nginx", "libnginx-mod-http-js"])?;
            debian::launcher(&unpacked, "usr/sbin/nginx", &place.made.join("nginx"))?;
            unpacked.join(MODULES).join(NJS)
        }
    };
    link(&module, &place.made.join(NJS))
}

/// Puts `docker-registry`, a registry of OCI artifacts, into `place`.
fn registry(place: &Place) -> Result<()> {
    let launcher = place.made.join("docker-registry");
    match which("docker-registry") {
        Some(installed) => link(&installed, &launcher),
        None => {
            let unpacked = unpacked(place, &["docker-registry"])?;
            debian::launcher(&unpacked, "usr/bin/docker-registry", &launcher)
        }
    }
}

/// Debian packages, unpacked in `place`.
pub fn unpacked(place: &Place, packages: &[&str]) -> Result<PathBuf> {
    let unpacked = place.made.join("debian");
    debian::unpack(&unpacked, || Ok(packages.iter().copied().map(String::from).collect()))?;
    Ok(unpacked)
}

/// Makes a link to a file.
pub fn link(file: &Path, link: &Path) -> Result<()> {
    files::remove_file(link)?;
    symlink(file, link).with_context(|| format!("cannot create {}", link.display()))
}
