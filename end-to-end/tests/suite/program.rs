//! Programs of another language, driven by lines of JSON.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Also for a gateway to take over what one that was killed held.
const SOON: Duration = Duration::from_secs(60);

/// A program, and the lines of JSON that it prints. It ends with this.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// One that Node runs, in a client's folder.
    pub(crate) fn node(client: &str, program: &str) -> Command {
        let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), client].iter().collect();
        let mut command = Command::new("node");
        command.arg(folder.join(program)).kill_on_drop(true);
        command
    }

    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node is installed");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Self { child, lines }
    }

    /// Has it read a line.
    pub(crate) async fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("it is piped");
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        input.flush().await.unwrap();
    }

    /// The next line that it prints.
    pub(crate) async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(SOON, self.lines.next_line()).await.expect("the program says something");
        let line = line.unwrap().expect("the program goes on");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"))
    }
}
