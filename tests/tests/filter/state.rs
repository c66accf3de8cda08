//! The state of a proxy: its requests, its call-outs, its clock.

use std::collections::BTreeMap;

use serde_json::Value;

/// The context of the configuration.
pub const ROOT: u32 = 1;

/// The fate of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Paused,
    GoesOn,
    Refused { status: u32, details: String, body: String, headers: Vec<(String, String)> },
}

/// A call-out that is not answered yet.
#[derive(Clone, Debug)]
pub struct Call {
    pub token: u32,
    pub cluster: String,
    pub headers: Vec<(String, String)>,
    pub body: Value,
    pub timeout: u32,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The last part of the path: `acquire` or `release`.
    pub fn verb(&self) -> &str {
        self.header(":path").unwrap().rsplit('/').next().unwrap()
    }

    pub fn owner(&self) -> &str {
        self.body["lockOwner"].as_str().unwrap()
    }

    pub fn resource(&self) -> &str {
        self.body["resourceId"].as_str().unwrap()
    }
}

pub struct Stream {
    pub headers: Vec<(String, String)>,
    pub fate: Fate,
    /// Where its response comes from.
    pub details: &'static str,
}

#[derive(Default)]
pub struct State {
    /// In milliseconds.
    pub time: u64,
    /// The context that functions are about.
    pub effective: u32,
    pub configuration: Vec<u8>,
    pub streams: BTreeMap<u32, Stream>,
    pub log: Vec<String>,
    pub calls: Vec<Call>,
    pub last_token: u32,
    pub sends_no_calls: bool,
    /// The calls that were not sent.
    pub unsent: Vec<Call>,
    /// The answer to a call that is being reported.
    pub answer: Option<(String, Vec<u8>)>,
    /// The period of ticks, and the time of the next.
    pub tick: (u32, u64),
    pub done: bool,
}
