//! Keeps logs from filling the disk.

use std::{fs, io, path::Path, time::Duration};

/// How large a log may become; the one before it is kept too.
pub const CAP: u64 = 16 * 1024 * 1024;
const INTERVAL: Duration = Duration::from_secs(5);

/// Cuts the logs of a folder whenever they exceed the cap, for ever. What the network's log keeper does.
///
/// # Errors
/// When the folder cannot be read.
pub fn keep(folder: &Path) -> io::Result<()> {
    loop {
        for entry in fs::read_dir(folder)? {
            let log = entry?.path();
            if log.extension().is_some_and(|extension| extension == "log") {
                cut(&log, CAP)?;
            }
        }
        std::thread::sleep(INTERVAL);
    }
}

/// Moves the content of a log that exceeds the cap to `.log.1`. The file itself stays, since a process appends to it.
fn cut(log: &Path, cap: u64) -> io::Result<()> {
    if fs::metadata(log)?.len() <= cap {
        return Ok(());
    }
    fs::copy(log, log.with_extension("log.1"))?;
    fs::OpenOptions::new().write(true).open(log)?.set_len(0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_log_beyond_its_cap_is_cut_while_its_process_goes_on_writing() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("peer.log");
        let mut writer = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        writer.write_all(b"first line\n").unwrap();

        cut(&log, 100).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "first line\n");
        cut(&log, 5).unwrap();
        writer.write_all(b"second line\n").unwrap();

        assert_eq!(fs::read_to_string(&log).unwrap(), "second line\n");
        assert_eq!(fs::read_to_string(folder.path().join("peer.log.1")).unwrap(), "first line\n");
    }
}
