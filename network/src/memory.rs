//! How much memory a network takes.

use std::fmt;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// The memory of several processes, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident: pages that several processes share are counted for each.
    pub resident: u64,
    /// Proportional: shared pages are divided among those that share them. Known on Linux only.
    pub proportional: Option<u64>,
}

impl Memory {
    /// That of these processes; those that are gone count nothing.
    pub(crate) fn of(pids: &[u32]) -> Self {
        let wanted: Vec<_> = pids.iter().copied().map(Pid::from_u32).collect();
        let resident = System::new().map_or(0, |mut system| {
            let what = ProcessRefreshKind::nothing().with_memory();
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&wanted), true, what);
            wanted.iter().filter_map(|pid| system.process(*pid)).map(sysinfo::Process::memory).sum()
        });
        let proportional = pids.iter().map(|pid| proportional(*pid)).sum();
        Self { resident, proportional }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes / 1_000_000;
        write!(f, "{} MB resident", megabytes(self.resident))?;
        match self.proportional {
            Some(bytes) => write!(f, ", {} MB with shared pages counted once", megabytes(bytes)),
            None => Ok(()),
        }
    }
}

fn proportional(pid: u32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let kilobytes: u64 =
        rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_some_memory() {
        let memory = Memory::of(&[std::process::id()]);

        assert!(memory.resident > 1_000_000);
        assert!(memory.proportional.is_none_or(|bytes| bytes > 0 && bytes <= memory.resident * 2));
    }
}
