//! Notifications for systemd, or any other service manager that sets `NOTIFY_SOCKET` (sd_notify(3)).
//! Without the variable they do nothing.

use sd_notify::NotifyState;

/// Notifies that calls are answered from now on.
pub fn ready() {
    notify(NotifyState::Ready);
}

/// Notifies that the shutdown has begun.
pub fn stopping() {
    notify(NotifyState::Stopping);
}

fn notify(state: NotifyState) {
    // Calls are answered nonetheless, so the process goes on.
    if let Err(error) = sd_notify::notify(std::slice::from_ref(&state)) {
        tracing::warn!("cannot notify the service manager of {state}: {error}");
    }
}
