//! The call that every contestant makes.

/// The name of the one store.
pub const STORE_NAME: &str = "lockstore";
/// The app that the locks belong to.
pub const APP_ID: &str = "app1";
/// The owner of the locks.
pub const OWNER: &str = "random_id_abc123";

/// The body of a try-lock request. An unlock request ignores its expiry.
pub fn lock_body(resource_id: &str, lock_owner: &str) -> String {
    format!(r#"{{"resourceId":"{resource_id}","lockOwner":"{lock_owner}","expiryInSeconds":60}}"#)
}
