//! What systemd, or whoever else set `NOTIFY_SOCKET`, is told of this process (sd_notify(3)); without
//! one nothing is.

use sd_notify::NotifyState;

/// Calls are answered from now on.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// The end has begun.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState) {
    // Calls can be answered all the same; whether that is enough is the manager's to decide.
    if let Err(error) = sd_notify::notify(std::slice::from_ref(&state)) {
        tracing::warn!("cannot tell the service manager {state}: {error}");
    }
}
