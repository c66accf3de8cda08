//! The settings, from environment variables.

use alloc::string::String;

use spin::Once;
use subtle::ConstantTimeEq;
use wasip2::cli::environment::get_environment;

/// The settings of this component. The store that it is composed with reads its own.
#[derive(Default)]
pub(crate) struct Settings {
    /// `APP_ID`: the application's id. Empty: none.
    pub(crate) app_id: String,
    /// `DAPR_API_TOKEN`: the token that callers must send. Empty: none is needed.
    token: String,
}

impl Settings {
    /// The settings. An instance reads them once.
    pub(crate) fn get() -> &'static Self {
        static SETTINGS: Once<Settings> = Once::new();
        SETTINGS.call_once(|| Self::of(get_environment()))
    }

    fn of(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut settings = Self::default();
        for (variable, value) in environment {
            match variable.as_str() {
                // Trimmed as the store trims it before it builds keys from it.
                "APP_ID" => settings.app_id = value.trim().into(),
                "DAPR_API_TOKEN" => settings.token = value,
                _ => {}
            }
        }
        settings
    }

    /// Whether callers must send a token.
    pub(crate) fn has_token(&self) -> bool {
        !self.token.is_empty()
    }

    /// Whether this is the token. The comparison takes the same time for every token of its length.
    pub(crate) fn is_token(&self, token: &[u8]) -> bool {
        self.token.as_bytes().ct_eq(token).into()
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
