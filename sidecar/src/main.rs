//! The command `holdfast`.

use std::process::ExitCode;

/// Gives memory back to the system a few seconds after many connections have closed. glibc's allocator keeps it; musl's
/// does not.
#[cfg(not(target_env = "musl"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // First, so that no signal arrives before it.
    holdfast_sidecar::cli::defer_signals();
    #[cfg(not(target_env = "musl"))]
    give_memory_back();
    holdfast_sidecar::cli::main()
}

/// Starts the allocator's thread that gives memory back. Without it, later calls do.
#[cfg(not(target_env = "musl"))]
fn give_memory_back() {
    let _ = tikv_jemalloc_ctl::background_thread::write(true);
}
