//! The commands that a new connection starts with.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use crate::{
    refusal::{RefusedLogin, refused_login},
    settings::{Sentinel, Settings, names},
};

/// The names of the settings of a login, as the operator writes them.
#[derive(Clone, Copy, Debug)]
pub struct LoginNames {
    username: &'static str,
    password: &'static str,
    db: &'static str,
}

impl LoginNames {
    /// Those in a resource file.
    pub const DAPR: Self = Self {
        username: names::REDIS_USERNAME.dapr[0],
        password: names::REDIS_PASSWORD.dapr[0],
        db: names::REDIS_DB.dapr[0],
    };
    /// Those in the environment.
    pub const ENVIRONMENT: Self = Self {
        username: names::REDIS_USERNAME.variable,
        password: names::REDIS_PASSWORD.variable,
        db: names::REDIS_DB.variable,
    };
    const SENTINEL: Self = Self {
        username: names::SENTINEL_USERNAME.dapr[0],
        password: names::SENTINEL_PASSWORD.dapr[0],
        ..Self::DAPR
    };
}

/// The commands that log a connection in, select its database and check that the server answers.
pub struct Login<'a> {
    username: Option<&'a str>,
    password: Option<&'a str>,
    db: Option<String>,
    names: LoginNames,
}

impl<'a> Login<'a> {
    /// The login that `settings` ask for, which the operator knows by these names.
    pub fn new(settings: &'a Settings, names: LoginNames) -> Self {
        Self {
            username: settings.username.as_deref(),
            password: settings.password.as_deref(),
            db: (settings.db != 0).then(|| settings.db.to_string()),
            names,
        }
    }

    /// The login of a connection to a sentinel.
    pub fn to_sentinel(sentinel: &'a Sentinel) -> Self {
        let Sentinel { username, password, .. } = sentinel;
        let (username, password) = (username.as_deref(), password.as_deref());
        Self { username, password, db: None, names: LoginNames::SENTINEL }
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

    /// The error line of the server, with the settings to look at if it refuses the login.
    pub fn with_advice(&self, line: String) -> String {
        let LoginNames { username, password, db } = self.names;
        match refused_login(&line) {
            Some(RefusedLogin::Missing) => format!("{line} (set {password})"),
            Some(RefusedLogin::Wrong) => format!("{line} (see {username} and {password})"),
            None if self.db.is_some() && line.contains("DB index") => format!("{line} (see {db})"),
            None => line,
        }
    }

    /// The probable reason if the server closes the connection on these words of the login, as twemproxy does on
    /// commands that it does not know.
    pub fn closed_on(&self, words: &[&str]) -> Option<String> {
        let LoginNames { username, db, .. } = self.names;
        match words {
            ["AUTH", _, _] => Some(format!("a proxy may know no users: leave {username} out")),
            ["SELECT", _] => Some(format!("a proxy may know no databases: leave {db} out")),
            _ => None,
        }
    }
}

/// Whether the server refused [`Login::authentication`] with this error line because it knows no users, as
/// Redis before 6 does.
pub fn knows_no_users(error: &str) -> bool {
    error.starts_with("ERR wrong number of arguments")
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

    fn login_of(settings: &Settings) -> Login<'_> {
        Login::new(settings, LoginNames::ENVIRONMENT)
    }

    #[test]
    fn the_advice_names_the_setting_that_is_missing_or_may_be_wrong() {
        let all = settings(Some("u"), Some("p"), 99);
        let sentinel =
            Sentinel { sentinels: vec![], master: String::new(), username: None, password: None };
        let range = "ERR DB index is out of range";
        for (login, line, advice) in [
            (login_of(&all), "NOAUTH x", " (set REDIS_PASSWORD)"),
            (login_of(&all), "WRONGPASS x", " (see REDIS_USERNAME and REDIS_PASSWORD)"),
            (login_of(&all), range, " (see REDIS_DB)"),
            (login_of(&all), "NOPERM x", ""),
            (Login::new(&all, LoginNames::DAPR), range, " (see redisDB)"),
            (Login::to_sentinel(&sentinel), "NOAUTH x", " (set sentinelPassword)"),
            (Login::to_sentinel(&sentinel), range, ""),
        ] {
            assert_eq!(login.with_advice(line.into()), format!("{line}{advice}"));
        }
        let closed = login_of(&all).closed_on(&["SELECT", "99"]).unwrap();
        assert_eq!(closed, "a proxy may know no databases: leave REDIS_DB out");
    }

    #[test]
    fn only_what_is_set_is_sent() {
        let none = settings(Some("u"), None, 0);
        assert_eq!(login_of(&none).authentication(), None);
        assert_eq!(login_of(&none).commands(), [vec!["PING"]]);
        let all = settings(Some("u"), Some("p"), 7);
        assert_eq!(login_of(&all).authentication(), Some(["AUTH", "u", "p"]));
        assert_eq!(login_of(&all).commands(), [vec!["SELECT", "7"], vec!["PING"]]);
    }

    #[test]
    fn a_password_without_a_user_is_the_default_users() {
        let settings = settings(None, Some("p"), 0);
        let login = login_of(&settings);
        assert_eq!(login.authentication(), Some(["AUTH", "default", "p"]));
        assert_eq!(login.older_authentication(), Some(["AUTH", "p"]));
        assert!(knows_no_users("ERR wrong number of arguments for 'auth' command"));
        assert!(!knows_no_users("WRONGPASS invalid username-password pair"));
        assert_eq!(login_of(&self::settings(Some("u"), Some("p"), 0)).older_authentication(), None);
    }
}
