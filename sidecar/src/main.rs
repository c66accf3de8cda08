//! The command `holdfast`.

use std::process::ExitCode;

use tikv_jemalloc_ctl::background_thread;
use tikv_jemallocator::Jemalloc;

/// Gives memory back to the system some seconds after many connections have closed. glibc's allocator keeps it.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    // Without the thread, which musl has not, memory is given back by later calls.
    let _ = background_thread::write(true);
    holdfast_sidecar::cli::main()
}
