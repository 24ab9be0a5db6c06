//! Where the programs of a network are found.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{Layout, NetworkError};

/// What the fabric ledger needs of Fabric.
const FABRIC: [&str; 4] = ["peer", "orderer", "configtxgen", "osnadmin"];
/// How much of a failed program's output an error shows.
const OUTPUT_LINES: usize = 12;

/// The folders that hold the programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Ours: chaincode, gateway, embedded ledger and network.
    pub own: PathBuf,
    /// Fabric's, where they were found.
    pub fabric: Option<PathBuf>,
}

impl Programs {
    /// Ours beside this executable (a test's executable lies one folder deeper); Fabric's in `FABRIC_BIN`, else on PATH.
    ///
    /// # Errors
    /// When the system does not tell where this executable is.
    pub fn find() -> std::io::Result<Self> {
        let executable = std::env::current_exe()?;
        let beside = executable.parent().unwrap_or(Path::new("."));
        let own = if beside.ends_with("deps") { beside.parent().unwrap_or(beside) } else { beside };
        let fabric_bin = std::env::var_os("FABRIC_BIN");
        let path = std::env::var_os("PATH").unwrap_or_default();
        Ok(Self { own: own.to_owned(), fabric: find_fabric(fabric_bin.as_deref(), &path) })
    }

    /// With the folder that held Fabric's programs when the network was made, where they are not found otherwise.
    pub(crate) fn or_remembered(mut self, layout: &Layout) -> Self {
        let remembered = || std::fs::read_to_string(layout.fabric_programs()).ok().map(PathBuf::from);
        self.fabric = self.fabric.or_else(remembered);
        self
    }

    /// One of our programs.
    pub(crate) fn own(&self, name: &str) -> Result<PathBuf, NetworkError> {
        let program = self.own.join(name);
        if program.is_file() { Ok(program) } else { Err(NetworkError::ProgramMissing(program)) }
    }

    /// One of Fabric's programs.
    pub(crate) fn fabric(&self, name: &'static str) -> Result<PathBuf, NetworkError> {
        let missing = || NetworkError::FabricMissing { program: name };
        let program = self.fabric.as_ref().ok_or_else(missing)?.join(name);
        if program.is_file() { Ok(program) } else { Err(missing()) }
    }
}

/// The folder that holds all of Fabric's programs that we need.
fn find_fabric(fabric_bin: Option<&OsStr>, path: &OsStr) -> Option<PathBuf> {
    let complete = |folder: &PathBuf| FABRIC.iter().all(|program| folder.join(program).is_file());
    match fabric_bin.filter(|folder| !folder.is_empty()) {
        Some(folder) => std::path::absolute(folder).ok().filter(complete),
        None => std::env::split_paths(path).filter(|folder| folder.is_absolute()).find(complete),
    }
}

/// Runs a program that does one thing and ends; gives what it printed on standard output.
pub(crate) async fn run(
    program: &Path,
    arguments: &[&str],
    environment: &[(String, String)],
) -> Result<String, NetworkError> {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let verbs: Vec<_> = arguments.iter().take_while(|argument| !argument.starts_with('-')).copied().collect();
    let named = format!("{name} {}", verbs.join(" "));
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(NetworkError::file(program))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let all = format!("{printed}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = all.lines().collect();
    let end = lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n");
    Err(NetworkError::Command { program: named, output: end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(programs: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for program in programs {
            std::fs::write(folder.path().join(program), "").unwrap();
        }
        folder
    }

    #[test]
    fn fabric_is_found_where_all_its_programs_are() {
        let (some, all) = (folder_with(&FABRIC[..2]), folder_with(&FABRIC));
        let path = std::env::join_paths([some.path(), all.path()]).unwrap();

        assert_eq!(find_fabric(None, &path).as_deref(), Some(all.path()));
        assert_eq!(find_fabric(None, some.path().as_os_str()), None);
    }

    #[test]
    fn a_named_folder_counts_alone() {
        let (some, all) = (folder_with(&FABRIC[..3]), folder_with(&FABRIC));

        assert_eq!(find_fabric(Some(some.path().as_os_str()), all.path().as_os_str()), None);
    }

    #[tokio::test]
    async fn a_program_that_fails_is_named_with_the_end_of_its_output() {
        let error = run(Path::new("/bin/sh"), &["-c", "echo why >&2; exit 1"], &[]).await.unwrap_err();

        assert!(error.to_string().starts_with("sh  failed: why\n"), "{error}");
    }
}
