//! Starts, watches and stops processes that outlive the program that starts them.
//!
//! Each component has a pid file (pid and start time, so that a pid that the system gave to somebody else is not taken
//! for ours), a log that its output is appended to, and a process group of its own, so that Ctrl-C in the terminal
//! reaches only the program that the person runs.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpid};
use sysinfo::{ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

use crate::{NetworkError, health::Sign};

/// How long a component may take to end by itself before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Start times are told by the wall clock: when that is set right, they move by as many seconds.
const CLOCK_SLACK: u64 = 10;
/// How much of a log an error shows.
const LOG_END_LINES: usize = 15;

/// A program that belongs to the network.
#[derive(Debug, Clone)]
pub(crate) struct Component {
    /// Its name: what it is, a dot, whose it is.
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// All of its environment beside PATH.
    pub(crate) environment: Vec<(String, String)>,
    /// Where it runs.
    pub(crate) folder: PathBuf,
    /// Where it listens; the first is the one that others call.
    pub(crate) ports: Vec<u16>,
    /// How one sees that it is ready.
    pub(crate) sign: Sign,
}

/// The processes of one network folder.
#[derive(Debug, Clone)]
pub(crate) struct Processes {
    run: PathBuf,
    logs: PathBuf,
}

impl Processes {
    pub(crate) fn new(run: PathBuf, logs: PathBuf) -> Self {
        Self { run, logs }
    }

    /// The pid of a component that is alive.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        let text = fs::read_to_string(self.pid_file(name)).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        let (pid, started): (u32, u64) = (pid.parse().ok()?, started.parse().ok()?);
        (start_time(pid)?.abs_diff(started) <= CLOCK_SLACK).then_some(pid)
    }

    /// Starts a component that is not running.
    pub(crate) fn start(&self, component: &Component) -> Result<u32, NetworkError> {
        let log_file = self.log(&component.name);
        let log =
            OpenOptions::new().create(true).append(true).open(&log_file).map_err(NetworkError::file(&log_file))?;
        let errors = log.try_clone().map_err(NetworkError::file(&log_file))?;
        let mut command = Command::new(&component.program);
        command
            .args(&component.arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(component.environment.iter().map(|(key, value)| (key, value)))
            .current_dir(&component.folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        let pid = command.spawn().map_err(NetworkError::file(&component.program))?.id();
        let pid_file = self.pid_file(&component.name);
        let started = start_time(pid).unwrap_or_default();
        fs::write(&pid_file, format!("{pid} {started}\n")).map_err(NetworkError::file(pid_file))?;
        Ok(pid)
    }

    /// Asks a component to end and waits until it has; kills it when it takes too long.
    ///
    /// Returns whether it was running.
    pub(crate) async fn stop(&self, name: &str) -> bool {
        self.end(name, Signal::TERM).await
    }

    /// Kills a component at once (SIGKILL), as a crash would, and waits until it is gone.
    pub(crate) async fn kill(&self, name: &str) -> bool {
        self.end(name, Signal::KILL).await
    }

    async fn end(&self, name: &str, signal: Signal) -> bool {
        let Some((number, pid)) = self.pid(name).and_then(|pid| Some((pid, Pid::from_raw(pid.cast_signed())?))) else {
            let _ = fs::remove_file(self.pid_file(name));
            return false;
        };
        let _ = kill_process_group(pid, signal);
        let asked = Instant::now();
        let mut killed = signal == Signal::KILL;
        while start_time(number).is_some()
            || (killed && test_kill_process_group(pid).is_ok() && asked.elapsed() < PATIENCE)
        {
            if !killed && asked.elapsed() > PATIENCE {
                let _ = kill_process_group(pid, Signal::KILL);
                killed = true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let _ = fs::remove_file(self.pid_file(name));
        true
    }

    /// An error that names the component and shows the end of its log.
    pub(crate) fn failure(&self, component: &str, reason: impl Into<String>) -> NetworkError {
        let log = self.log(component);
        NetworkError::Component {
            component: component.to_owned(),
            reason: reason.into(),
            log_end: log_end(&log, LOG_END_LINES),
            log,
        }
    }

    /// Where a component's output goes.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    fn pid_file(&self, name: &str) -> PathBuf {
        self.run.join(format!("{name}.pid"))
    }
}

/// The last lines of a log.
pub(crate) fn log_end(log: &Path, lines: usize) -> String {
    const TAIL: u64 = 16 * 1024;
    let read = || -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(end)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// When the process began, in seconds since 1970; `None` when it is gone (a zombie is gone).
fn start_time(pid: u32) -> Option<u64> {
    // Takes the exit status of a child of ours; without that, a child that ended would stay a zombie.
    let _ = waitpid(Pid::from_raw(pid.cast_signed()), WaitOptions::NOHANG);
    let pid = sysinfo::Pid::from_u32(pid);
    let mut system = System::new().ok()?;
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing());
    let process = system.process(pid)?;
    (!matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead)).then(|| process.start_time())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processes() -> (tempfile::TempDir, Processes) {
        let folder = tempfile::tempdir().unwrap();
        let processes = Processes::new(folder.path().to_owned(), folder.path().to_owned());
        (folder, processes)
    }

    fn shell(folder: &Path, script: &str) -> Component {
        Component {
            name: "shell.here".into(),
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![("WORD".into(), "heard".into())],
            folder: folder.into(),
            ports: vec![],
            sign: Sign::Listening,
        }
    }

    #[tokio::test]
    async fn a_started_component_has_a_pid_until_it_is_stopped() {
        let (folder, processes) = processes();

        let pid = processes.start(&shell(folder.path(), "sleep 60")).unwrap();

        assert_eq!(processes.pid("shell.here"), Some(pid));
        assert!(processes.stop("shell.here").await);
        assert_eq!(processes.pid("shell.here"), None);
        assert!(!processes.stop("shell.here").await);
    }

    #[tokio::test]
    async fn stopping_ends_the_children_of_a_component_too() {
        let (folder, processes) = processes();
        processes.start(&shell(folder.path(), "sleep 61 & echo $! > child; wait")).unwrap();
        let child_file = folder.path().join("child");
        while fs::read_to_string(&child_file).unwrap_or_default().trim().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let child: u32 = fs::read_to_string(child_file).unwrap().trim().parse().unwrap();

        processes.stop("shell.here").await;

        let deadline = Instant::now() + Duration::from_secs(5);
        while start_time(child).is_some() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(start_time(child), None);
    }

    #[tokio::test]
    async fn a_component_that_ended_by_itself_has_no_pid_and_its_log_tells() {
        let (folder, processes) = processes();

        processes.start(&shell(folder.path(), "echo $WORD; exit 3")).unwrap();
        while processes.pid("shell.here").is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }

        let error = processes.failure("shell.here", "ended").to_string();
        assert!(error.starts_with("shell.here ended\nheard\n"), "{error}");
    }

    #[test]
    fn a_pid_that_now_belongs_to_somebody_else_is_not_ours() {
        let (folder, processes) = processes();
        fs::write(folder.path().join("shell.here.pid"), format!("{} 1\n", std::process::id())).unwrap();

        assert_eq!(processes.pid("shell.here"), None);
    }

    #[tokio::test]
    async fn a_killed_component_is_gone_when_kill_returns() {
        let (folder, processes) = processes();
        processes.start(&shell(folder.path(), "trap '' TERM; sleep 62")).unwrap();

        assert!(processes.kill("shell.here").await);

        assert_eq!(processes.pid("shell.here"), None);
    }
}
