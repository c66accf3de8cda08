//! The commands that a new connection starts with.

use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::settings::Settings;

/// The commands that log a connection in, select its database and check that the server answers.
pub struct Login<'a> {
    username: Option<&'a str>,
    password: Option<&'a str>,
    db: Option<String>,
}

impl<'a> Login<'a> {
    /// The login that `settings` ask for.
    pub fn new(settings: &'a Settings) -> Self {
        Self {
            username: settings.username.as_deref(),
            password: settings.password.as_deref(),
            db: (settings.db != 0).then(|| settings.db.to_string()),
        }
    }

    /// The words of each command, in order. A connection is good once none was answered with an error.
    pub fn commands(&self) -> Vec<Vec<&str>> {
        let mut commands = Vec::new();
        match (self.username, self.password) {
            (Some(username), Some(password)) => commands.push(vec!["AUTH", username, password]),
            (None, Some(password)) => commands.push(vec!["AUTH", password]),
            (_, None) => {}
        }
        if let Some(db) = &self.db {
            commands.push(vec!["SELECT", db]);
        }
        commands.push(vec!["PING"]);
        commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;

    fn commands(username: Option<&str>, password: Option<&str>, db: u32) -> Vec<Vec<String>> {
        let address = Address { host: "h".into(), port: 1 };
        let settings = Settings {
            username: username.map(Into::into),
            password: password.map(Into::into),
            db,
            ..Settings::new(address)
        };
        let login = Login::new(&settings);
        let owned = |words: Vec<&str>| words.into_iter().map(Into::into).collect();
        login.commands().into_iter().map(owned).collect()
    }

    #[test]
    fn only_what_is_set_is_sent() {
        assert_eq!(commands(None, None, 0), [vec!["PING"]]);
        assert_eq!(commands(Some("u"), None, 0), [vec!["PING"]]);
        assert_eq!(commands(None, Some("p"), 0), [vec!["AUTH", "p"], vec!["PING"]]);
        assert_eq!(
            commands(Some("u"), Some("p"), 7),
            [vec!["AUTH", "u", "p"], vec!["SELECT", "7"], vec!["PING"]]
        );
    }
}
