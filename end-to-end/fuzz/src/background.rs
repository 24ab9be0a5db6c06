//! A runtime for targets that speak with something in the background, and what becomes of panics there.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

const THREADS: &str = "fuzz-background";
/// Longer than anything takes that is not stuck.
const PATIENCE: Duration = Duration::from_secs(30);

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Where everything in the background runs.
pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some(THREADS) {
            PANICS.fetch_add(1, Ordering::SeqCst);
        }
        before(panic);
    }));
    Builder::new_multi_thread().thread_name(THREADS).enable_all().build().expect("the system has threads")
});

/// Runs this to its end; panics when something in the background did, or when it does not end.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let result = RUNTIME.block_on(async { tokio::time::timeout(PATIENCE, work).await });
    assert_eq!(PANICS.load(Ordering::SeqCst), 0, "something in the background panicked");
    result.expect("it ends")
}
