//! The command line.

use std::{collections::HashMap, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::Parser;
use hyper::http::uri::Authority;
use wasmtime::{Error, Result, bail, error::Context as _};

/// A reverse proxy that runs plugins and provides them with locks that all nodes share
#[derive(Parser)]
#[command(name = "edge-proxy", after_help = EXAMPLE)]
pub struct Options {
    /// Address to listen on; port 0 picks a free port
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The only server that plugins may send requests to, as HOST:PORT
    #[arg(long)]
    pub upstream: Authority,
    /// The Redis server for the plugins' key-value interface, as HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    pub cache: String,
    /// A Redis server for locks, under the store name that plugins use; can be given more than once
    #[arg(long = "store", value_name = "NAME=HOST:PORT", value_parser = pair)]
    pub stores: Vec<(String, String)>,
    /// A plugin, which serves the paths below /NAME; can be given more than once
    #[arg(long = "plugin", value_name = "NAME=FILE,app-id=ID[,SETTING=VALUE...]", required = true)]
    pub plugins: Vec<PluginOptions>,
}

const EXAMPLE: &str = "\
Settings of a plugin:
  app-id=ID     application id of its locks and values, part of their keys; required
  stores=A|B    stores that it may use; default: none
  memory=MIB    maximum memory of a call, in MiB; default: 128
  deadline=MS   maximum duration of a call, in milliseconds; default: 4000
  calls=N       maximum concurrent calls, more are answered 503; default: 64

Example:
  edge-proxy --upstream 127.0.0.1:9000 --cache 127.0.0.1:6379 --store lockstore=127.0.0.1:6379 \\
    --plugin quote=single_flight.wasm,app-id=quote,stores=lockstore";

/// One `--plugin`.
#[derive(Clone, Debug)]
pub struct PluginOptions {
    pub name: String,
    pub file: PathBuf,
    pub app_id: String,
    pub stores: Vec<String>,
    /// In bytes.
    pub memory: usize,
    pub deadline: Duration,
    pub calls: usize,
}

impl FromStr for PluginOptions {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (first, rest) = text.split_once(',').unwrap_or((text, ""));
        let (name, file) = pair(first)?;
        let mut settings = HashMap::new();
        for setting in rest.split(',').filter(|setting| !setting.is_empty()) {
            let (key, value) = pair(setting)?;
            if settings.insert(key.clone(), value).is_some() {
                bail!("{key} is given twice");
            }
        }
        let mut number = |key: &str, default: u32| match settings.remove(key) {
            None => Ok(default),
            Some(value) => match value.parse() {
                Ok(number) if number > 0 => Ok(number),
                _ => bail!("{key} must be a whole number from 1 to {}, not {value}", u32::MAX),
            },
        };
        let memory = number("memory", 128)? as usize * 1024 * 1024;
        let deadline = Duration::from_millis(number("deadline", 4000)?.into());
        let calls = number("calls", 64)? as usize;
        let app_id = settings.remove("app-id").context("app-id is missing")?;
        if app_id.contains('|') {
            bail!("app-id must not contain `|`, which separates the parts of a key");
        }
        let stores = settings.remove("stores").unwrap_or_default();
        let stores = stores.split('|').filter(|store| !store.is_empty()).map(Into::into).collect();
        if let Some(unknown) = settings.keys().next() {
            bail!("unknown setting {unknown}");
        }
        Ok(Self { name, file: file.into(), app_id, stores, memory, deadline, calls })
    }
}

fn pair(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').with_context(|| format!("`{text}` has no `=`"))?;
    if key.is_empty() || value.is_empty() {
        bail!("`{text}` has nothing on one side of `=`");
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        text.parse::<PluginOptions>().map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn settings_are_parsed() {
        let text = "quote=a/b.wasm,app-id=q,stores=one|two,memory=8,deadline=50,calls=3";
        let plugin: PluginOptions = text.parse().expect("good options");
        assert_eq!((plugin.name.as_str(), plugin.app_id.as_str()), ("quote", "q"));
        assert_eq!(plugin.stores, ["one", "two"]);
        assert_eq!(plugin.memory, 8 << 20);
        assert_eq!((plugin.deadline, plugin.calls), (Duration::from_millis(50), 3));
    }

    #[test]
    fn errors_name_the_problem() {
        let rows = [
            ("quote", "`quote` has no `=`"),
            ("quote=", "`quote=` has nothing on one side of `=`"),
            ("quote=a.wasm", "app-id is missing"),
            (
                "quote=a.wasm,app-id=a|",
                "app-id must not contain `|`, which separates the parts of a key",
            ),
            ("quote=a.wasm,app-id=a,app-id=b", "app-id is given twice"),
            (
                "quote=a.wasm,app-id=a,calls=0",
                "calls must be a whole number from 1 to 4294967295, not 0",
            ),
            ("quote=a.wasm,app-id=a,memroy=1", "unknown setting memroy"),
        ];
        for (text, expected) in rows {
            assert_eq!(message(text), expected);
        }
    }
}
