//! Reading a body as Dapr reads it: as the JSON form of a protocol buffer, with its leniencies.
//!
//! Source: protobuf-go 1.36 `encoding/protojson` with unknown fields discarded, which is what Dapr
//! 1.18 uses. Compared with it over some 450,000 bodies, three leniencies are left out on purpose: an
//! exponent without digits (`1e`), which is no JSON; something after the number in a string
//! (`"1,2"`), which protobuf-go 1.36.12 refuses as well; and one strictness: keys such as
//! `[google.protobuf.Any]` are unknown fields here like any other.

use alloc::string::{String, ToString};
use core::fmt;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{expiry, strictness, text};
use crate::{
    bindings::Error,
    message::{self, Call},
};

/// What a body says. A field that is missing or `null` has its type's zero.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Body {
    /// `resourceId`
    pub resource_id: String,
    /// `lockOwner`
    pub lock_owner: String,
    /// `expiryInSeconds`, of a try-lock alone
    pub expiry_in_seconds: i32,
}

impl Body {
    /// Reads the body of a call. An empty one is an empty object.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedRequest`].
    pub fn read(call: Call, body: &[u8]) -> Result<Self, Error> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        parse(call, body)
            .map_err(|cause| Error::MalformedRequest(message::malformed_request(&cause)))
    }
}

fn parse(call: Call, body: &[u8]) -> Result<Body, String> {
    let json = str::from_utf8(body).map_err(|error| error.to_string())?;
    let mut reader = Reader { call, body: Body::default(), seen: [false; FIELDS], skipped: false };

    let mut deserializer = serde_json::Deserializer::from_str(json);
    deserializer
        .deserialize_any(&mut reader)
        .and_then(|()| deserializer.end())
        .map_err(|error| error.to_string())?;
    if reader.skipped {
        strictness::check(json)?;
    }
    Ok(reader.body)
}

/// The fields of a request, each by its two names.
#[derive(Clone, Copy)]
enum Field {
    StoreName,
    ResourceId,
    LockOwner,
    ExpiryInSeconds,
}

const FIELDS: usize = 4;

impl Field {
    fn named(name: &str, call: Call) -> Option<Self> {
        match name {
            "storeName" | "store_name" => Some(Self::StoreName),
            "resourceId" | "resource_id" => Some(Self::ResourceId),
            "lockOwner" | "lock_owner" => Some(Self::LockOwner),
            "expiryInSeconds" | "expiry_in_seconds" if call == Call::TryLock => {
                Some(Self::ExpiryInSeconds)
            }
            _ => None,
        }
    }
}

struct Reader {
    call: Call,
    body: Body,
    seen: [bool; FIELDS],
    /// Whether a value was passed over unread.
    skipped: bool,
}

impl<'de> Visitor<'de> for &mut Reader {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(text::Text(name)) = map.next_key()? {
            let Some(field) = Field::named(&name, self.call) else {
                self.skipped = true;
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&RawValue>()?;
            if core::mem::replace(&mut self.seen[field as usize], true) {
                return Err(A::Error::custom(format_args!("duplicate field '{name}'")));
            }
            if value.get() == "null" {
                continue;
            }
            self.set(field, value)
                .map_err(|problem| A::Error::custom(format_args!("field '{name}': {problem}")))?;
        }
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        Err(text::refusal("a string", &self))
    }

    text::refuse_scalars_and_arrays!();
}

impl Reader {
    fn set(&mut self, field: Field, value: &RawValue) -> Result<(), String> {
        match field {
            // The URL names the store; the body may, and is still to be valid.
            Field::StoreName => drop(string(value)?),
            Field::ResourceId => self.body.resource_id = string(value)?,
            Field::LockOwner => self.body.lock_owner = string(value)?,
            Field::ExpiryInSeconds => self.body.expiry_in_seconds = expiry::read(value)?,
        }
        Ok(())
    }
}

fn string(value: &RawValue) -> Result<String, String> {
    serde_json::from_str::<text::Text>(value.get())
        .map(|text::Text(text)| text)
        .map_err(|error| error.to_string())
}
