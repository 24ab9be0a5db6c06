//! Who holds a port that we want.

use std::{io, net::TcpListener, path::Path};

/// A port that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Which.
    pub port: u16,
    /// Which of our components wants it.
    pub component: String,
    /// The process that holds it: name and pid, as far as the system tells us.
    pub holder: String,
}

/// The wanted `(port, component)` pairs that are taken.
pub(crate) fn conflicts<'a>(wanted: impl IntoIterator<Item = (u16, &'a str)>) -> Vec<Conflict> {
    wanted
        .into_iter()
        .filter(|(port, _)| is_taken(*port))
        .map(|(port, component)| Conflict { port, component: component.to_owned(), holder: holder(port) })
        .collect()
}

fn is_taken(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

fn holder(port: u16) -> String {
    match listeners::get_process_by_port(port, listeners::Protocol::TCP) {
        // The system cuts a process' name; its program's file has the whole one.
        Ok(process) => {
            let program = Path::new(&process.path).file_name().map(|name| name.to_string_lossy().into_owned());
            format!("{} (pid {})", program.unwrap_or(process.name), process.pid)
        }
        Err(_) => "a process of another user".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named_with_the_process_that_holds_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();

        let found = conflicts([(port, "peer.somewhere")]);

        assert_eq!(found.len(), 1);
        assert_eq!(found[0].component, "peer.somewhere");
        assert!(found[0].holder.contains(&format!("pid {}", std::process::id())), "{}", found[0].holder);
    }

    #[test]
    fn a_free_port_is_no_conflict() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();

        assert_eq!(conflicts([(port, "peer.somewhere")]), []);
    }
}
