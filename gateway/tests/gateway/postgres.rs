//! A PostgreSQL server of the tests' own: Debian's programs, a folder of its own, no network. It ends when the tests do, however
//! they end: it runs beside a shell that waits for the end of its input.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use healthchain_gateway::state::Place;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tokio::sync::OnceCell;

const RUN: &str = r#"
set -eu
"$2/initdb" --no-sync --auth trust --username gateway --pgdata "$1/data" >"$1/log" 2>&1
serve() {
    "$2/postgres" -D "$1/data" -F -c listen_addresses= -c unix_socket_directories="$1" -c max_connections=300 >>"$1/log" 2>&1 &
    server=$!
}
stop() {
    kill "-$1" "$server" || true
    wait "$server" || true
}
serve "$@"
while read -r told; do
    case $told in
        stop) stop QUIT ;;
        serve) serve "$@" ;;
    esac
done
stop INT
rm -rf "$1"
"#;
/// PostgreSQL does not run as root.
const USER: &str = "postgres";

/// A server with its databases.
pub(crate) struct Server {
    folder: PathBuf,
    /// Ends the server when its input does: when this value, or this process, is gone.
    shell: Child,
    databases: AtomicUsize,
}

static SERVER: OnceCell<Server> = OnceCell::const_new();

/// A new, empty database.
pub(crate) async fn database() -> Place {
    SERVER.get_or_init(Server::start).await.database().await
}

impl Server {
    /// A new, empty database.
    pub(crate) async fn database(&self) -> Place {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = self.connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        Place::Postgres(self.url(&name).parse().unwrap())
    }

    /// Ends the server as a crash would: at once, with what it was doing.
    pub(crate) fn crash(&mut self) {
        self.tell("stop");
    }

    /// Starts it again after [`Server::crash`], without waiting for it.
    pub(crate) fn start_again(&mut self) {
        self.tell("serve");
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.shell.stdin.as_mut().unwrap(), "{what}").unwrap();
    }

    /// A server of one's own, ready.
    pub(crate) async fn start() -> Self {
        sqlx::any::install_default_drivers();
        let folder = tempfile::Builder::new().prefix("pg").tempdir().unwrap().keep();
        let programs = programs();
        let mut command = match rustix::process::geteuid().is_root() {
            true => {
                assert!(Command::new("chown").arg(USER).arg(&folder).status().unwrap().success());
                let mut command = Command::new("setpriv");
                command.args(["--reuid", USER, "--regid", USER, "--clear-groups", "sh"]);
                command
            }
            false => Command::new("sh"),
        };
        let shell = command.args(["-c", RUN, "sh"]).arg(&folder).arg(&programs).current_dir("/");
        let shell = shell.stdin(Stdio::piped()).spawn().unwrap();
        let server = Self { folder, shell, databases: AtomicUsize::new(0) };
        for _ in 0..600 {
            if server.connect().await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("PostgreSQL does not start: {}", std::fs::read_to_string(server.folder.join("log")).unwrap_or_default());
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://gateway@localhost/{database}?host={}", self.folder.display())
    }

    async fn connect(&self) -> Result<AnyConnection, sqlx::Error> {
        AnyConnection::connect(&self.url("postgres")).await
    }
}

/// The folder of the newest release that is installed.
fn programs() -> PathBuf {
    let releases = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    let folders = releases.map(|release| release.path().join("bin")).filter(|folder| folder.join("initdb").exists());
    let release = |folder: &PathBuf| folder.parent().and_then(Path::file_name)?.to_str()?.parse::<u32>().ok();
    folders.max_by_key(release).expect("there is no PostgreSQL: scripts/install-tools.sh installs it")
}
