//! What was measured of one kind of call, and how it is told.

use std::time::{Duration, Instant};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Calls of one kind by some callers at once.
#[derive(Debug, Default, Clone)]
pub(crate) struct Measured {
    /// What each successful call took.
    pub(crate) times: Vec<Duration>,
    /// Calls that failed.
    pub(crate) failed: usize,
    /// From the first call's begin to the last one's end, over all rounds.
    pub(crate) took: Duration,
    /// What the process that answers, or calls, worked meanwhile.
    pub(crate) cpu: Duration,
}

impl Measured {
    /// Adds another round of the same.
    pub(crate) fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.failed += other.failed;
        self.took += other.took;
        self.cpu += other.cpu;
    }

    /// Successful calls a second.
    pub(crate) fn rate(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }

    /// Processor time of a successful call.
    pub(crate) fn cpu_per_call(&self) -> Duration {
        self.cpu / u32::try_from(self.times.len().max(1)).unwrap()
    }
}

/// Has so many callers work until the time is over; each finishes what it has begun. `act` is told who calls, and says whether it succeeded.
pub(crate) async fn measure<F: Future<Output = bool>>(
    callers: usize,
    time: Duration,
    act: impl Fn(usize) -> F,
) -> Measured {
    let begun = Instant::now();
    let act = &act;
    let work = |caller| async move {
        let (mut times, mut failed) = (Vec::new(), 0);
        while begun.elapsed() < time {
            let called = Instant::now();
            if act(caller).await { times.push(called.elapsed()) } else { failed += 1 }
        }
        (times, failed)
    };
    let all = futures::future::join_all((0..callers).map(work)).await;
    let took = begun.elapsed();
    let (times, failed): (Vec<_>, Vec<usize>) = all.into_iter().unzip();
    Measured { times: times.concat(), failed: failed.into_iter().sum(), took, cpu: Duration::ZERO }
}

/// The time that so many of a hundred stay below or reach.
pub(crate) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

/// Milliseconds, for a table.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// What these processes have worked since they began.
pub(crate) fn cpu_of(processes: &[u32]) -> Duration {
    let processes: Vec<_> = processes.iter().copied().map(Pid::from_u32).collect();
    let mut system = System::new().expect("the system tells of its processes");
    let what = ProcessRefreshKind::nothing().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&processes), true, what);
    let work = processes.iter().map(|process| system.process(*process).unwrap().accumulated_cpu_time());
    Duration::from_millis(work.sum())
}
