//! The commands that a new connection starts with.

use alloc::{
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::settings::{Sentinel, Settings};

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

    /// The login of a connection to a sentinel.
    pub fn to_sentinel(sentinel: &'a Sentinel) -> Self {
        let Sentinel { username, password, .. } = sentinel;
        Self { username: username.as_deref(), password: password.as_deref(), db: None }
    }

    /// The words that log in; `None` without a password.
    ///
    /// Without a user name they name Redis's own user, as go-redis does: a server that asks for no password then
    /// accepts any.
    pub fn authentication(&self) -> Option<[&str; 3]> {
        self.password.map(|password| ["AUTH", self.username.unwrap_or("default"), password])
    }

    /// The words that log in to a server that knows no users; `None` without a password, and with a user name.
    pub fn older_authentication(&self) -> Option<[&str; 2]> {
        self.password.filter(|_| self.username.is_none()).map(|word| ["AUTH", word])
    }

    /// The words of each command that follows, in order. A connection is good if the server answers none of them with
    /// an error.
    pub fn commands(&self) -> Vec<Vec<&str>> {
        let mut commands = Vec::new();
        if let Some(db) = &self.db {
            commands.push(vec!["SELECT", db]);
        }
        commands.push(vec!["PING"]);
        commands
    }
}

/// Whether the server refused [`Login::authentication`] with this error line because it knows no users, as
/// Redis before 6 does.
pub fn knows_no_users(error: &str) -> bool {
    error.starts_with("ERR wrong number of arguments")
}

/// The probable reason if the server closes the connection on these words of a login, as twemproxy does on commands
/// that it does not know.
pub fn closed_on(words: &[&str]) -> Option<&'static str> {
    match words {
        ["AUTH", _, _] => Some("a proxy may know no users: leave redisUsername out"),
        ["SELECT", _] => Some("a proxy may know no databases: leave redisDB out"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(username: Option<&str>, password: Option<&str>, db: u32) -> Settings {
        Settings {
            username: username.map(Into::into),
            password: password.map(Into::into),
            db,
            ..Settings::default()
        }
    }

    #[test]
    fn only_what_is_set_is_sent() {
        let none = settings(Some("u"), None, 0);
        assert_eq!(Login::new(&none).authentication(), None);
        assert_eq!(Login::new(&none).commands(), [vec!["PING"]]);
        let all = settings(Some("u"), Some("p"), 7);
        assert_eq!(Login::new(&all).authentication(), Some(["AUTH", "u", "p"]));
        assert_eq!(Login::new(&all).commands(), [vec!["SELECT", "7"], vec!["PING"]]);
    }

    #[test]
    fn a_password_without_a_user_is_the_default_users() {
        let settings = settings(None, Some("p"), 0);
        let login = Login::new(&settings);
        assert_eq!(login.authentication(), Some(["AUTH", "default", "p"]));
        assert_eq!(login.older_authentication(), Some(["AUTH", "p"]));
        assert!(knows_no_users("ERR wrong number of arguments for 'auth' command"));
        assert!(!knows_no_users("WRONGPASS invalid username-password pair"));
        assert_eq!(
            Login::new(&self::settings(Some("u"), Some("p"), 0)).older_authentication(),
            None
        );
    }
}
