//! Refuses logins by a cloud identity provider, which neither client supports. To ignore such a setting silently would
//! defeat the user's intent.

use super::{error::SettingError, names, read, source::Source};

const CLOUD: &str = "asks for a cloud identity provider, which this version does not support";

/// Refuses every setting that asks for such a login.
pub(super) fn refuse(source: &impl Source) -> Result<(), SettingError> {
    for setting in [names::USE_ENTRA_ID, names::USE_OIDC] {
        if let Some(found) = read::flag(source, setting)? {
            return Err(found.error(CLOUD));
        }
    }
    match source.find_by_start(names::OIDC_) {
        Some(found) => Err(found.error(CLOUD)),
        None => Ok(()),
    }
}
