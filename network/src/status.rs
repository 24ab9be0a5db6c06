//! What runs, and how it is.

use std::fmt;

use serde::Serialize;

/// One component, as `status` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentStatus {
    /// Its name.
    pub name: String,
    /// Its process; absent when it does not run.
    pub pid: Option<u32>,
    /// The ports it listens on; the first is the one that others call.
    pub ports: Vec<u16>,
    /// How it is.
    pub health: Health,
    /// How many blocks it has, when it keeps blocks and answers.
    pub blocks: Option<u64>,
}

/// How a component is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", content = "reason", rename_all = "kebab-case")]
pub enum Health {
    /// It answers as it should.
    Ready,
    /// It runs and does not answer as it should; the text says what it does instead.
    Unwell(String),
    /// It does not run.
    Stopped,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Health::Ready => f.pad("ready"),
            Health::Unwell(reason) => write!(f, "unwell: {reason}"),
            Health::Stopped => f.pad("stopped"),
        }
    }
}

/// A table for people.
pub fn table(components: &[ComponentStatus]) -> String {
    let mut lines = vec![format!("{:<22} {:>8} {:>6} {:>7}  health", "component", "pid", "port", "blocks")];
    for component in components {
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        lines.push(format!(
            "{:<22} {:>8} {:>6} {:>7}  {}",
            component.name,
            or_dash(component.pid.map(|pid| pid.to_string())),
            or_dash(component.ports.first().map(u16::to_string)),
            or_dash(component.blocks.map(|blocks| blocks.to_string())),
            component.health
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_line_for_each_component() {
        let components = [
            ComponentStatus {
                name: "peer.somewhere".into(),
                pid: Some(12),
                ports: vec![7101, 7102],
                health: Health::Ready,
                blocks: Some(9),
            },
            ComponentStatus {
                name: "gateway.somewhere".into(),
                pid: None,
                ports: vec![7100],
                health: Health::Stopped,
                blocks: None,
            },
        ];

        insta::assert_snapshot!(table(&components));
    }
}
