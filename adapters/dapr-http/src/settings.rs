//! What the environment says.

use alloc::string::String;

use spin::Once;
use subtle::ConstantTimeEq;
use wasip2::cli::environment::get_environment;

/// What the environment says of this component; the store reads what is its own.
#[derive(Default)]
pub(crate) struct Settings {
    /// `APP_ID`: the application's id; empty for none.
    pub(crate) app_id: String,
    /// `DAPR_API_TOKEN`: what callers must show; empty for nothing.
    token: String,
}

impl Settings {
    /// The settings, which an instance reads once.
    pub(crate) fn get() -> &'static Self {
        static SETTINGS: Once<Settings> = Once::new();
        SETTINGS.call_once(|| Self::of(get_environment()))
    }

    fn of(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut settings = Self::default();
        for (variable, value) in environment {
            match variable.as_str() {
                // The store that makes keys of it reads it so, too.
                "APP_ID" => settings.app_id = value.trim().into(),
                "DAPR_API_TOKEN" => settings.token = value,
                _ => {}
            }
        }
        settings
    }

    /// Whether callers must show a token.
    pub(crate) fn has_token(&self) -> bool {
        !self.token.is_empty()
    }

    /// Whether this is the token; how long it takes to tell says nothing about it.
    pub(crate) fn is_token(&self, shown: &[u8]) -> bool {
        self.token.as_bytes().ct_eq(shown).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &[(&str, &str)]) -> Settings {
        Settings::of(environment.iter().map(|(name, value)| ((*name).into(), (*value).into())))
    }

    #[test]
    fn nothing_has_to_be_set() {
        let none = settings(&[("PATH", "/bin")]);
        assert_eq!(none.app_id, "");
        assert!(!none.has_token());
        assert!(!settings(&[("DAPR_API_TOKEN", "")]).has_token());
    }

    #[test]
    fn each_setting_is_read() {
        let all = settings(&[("APP_ID", " app1 "), ("DAPR_API_TOKEN", "secret")]);
        assert_eq!(all.app_id, "app1");
        assert!(all.has_token() && all.is_token(b"secret"));
        assert!(!all.is_token(b"secre") && !all.is_token(b""));
    }
}
