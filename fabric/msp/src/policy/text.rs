//! The text of signature policies: `AND(…)`, `OR(…)`, `OutOf(n, …)` over `'MSP.role'`.

use fabric_protos::common::msp_role::MspRoleType;
use fabric_protos::common::{MspPrincipal, SignaturePolicy, SignaturePolicyEnvelope};

use super::{gate, principal, signed_by};

/// How deep gates may nest; far beyond any policy that somebody wrote.
const DEEPEST: usize = 32;

/// Why a text is not a signature policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a signature policy, at character {position}: {reason}; write for example OutOf(2, 'A.peer', OR('B.member', 'C.admin'))"
)]
pub struct PolicyTextError {
    /// Where, counted from 0.
    pub position: usize,
    /// What is wrong.
    pub reason: String,
}

/// Reads a policy. As in Fabric, gates are written `AND`, `And` or `and` (and so on), quotes are single or double, roles
/// are member, admin, client, peer and orderer, and each mention of a principal is an identity of its own.
pub fn parse(text: &str) -> Result<SignaturePolicyEnvelope, PolicyTextError> {
    let mut reader = Reader { text, position: 0, identities: Vec::new() };
    let rule = reader.gate(0)?;
    reader.skip_space();
    if reader.position < text.len() {
        return Err(reader.wrong("something follows the policy"));
    }
    Ok(SignaturePolicyEnvelope { version: 0, rule: Some(rule), identities: reader.identities })
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
    identities: Vec<MspPrincipal>,
}

impl<'a> Reader<'a> {
    fn gate(&mut self, depth: usize) -> Result<SignaturePolicy, PolicyTextError> {
        if depth > DEEPEST {
            return Err(self.wrong("gates nest too deeply"));
        }
        self.skip_space();
        let start = self.position;
        let name = self.word();
        let counted = match name {
            "OutOf" | "OUTOF" | "outof" => true,
            "And" | "AND" | "and" | "Or" | "OR" | "or" => false,
            _ => {
                self.position = start;
                return Err(self.wrong("expected AND, OR or OutOf"));
            }
        };
        self.expect('(')?;
        let asked = if counted {
            let asked = self.number()?;
            self.expect(',')?;
            Some(asked)
        } else {
            None
        };
        let mut rules = vec![self.operand(depth)?];
        while self.accept(',') {
            rules.push(self.operand(depth)?);
        }
        let n = asked.unwrap_or(if name.eq_ignore_ascii_case("or") { 1 } else { rules.len() });
        if n > rules.len() + 1 {
            return Err(self.wrong(&format!("invalid t-out-of-n predicate, t {n}, n {}", rules.len())));
        }
        self.expect(')')?;
        Ok(gate(n as i32, rules))
    }

    fn operand(&mut self, depth: usize) -> Result<SignaturePolicy, PolicyTextError> {
        self.skip_space();
        if !self.text[self.position..].starts_with(['\'', '"']) {
            return self.gate(depth + 1);
        }
        let start = self.position;
        let quoted = self.quoted()?;
        let Some((msp_id, role)) = quoted.rsplit_once('.').and_then(|(msp_id, role)| Some((msp_id, role_of(role)?)))
        else {
            self.position = start;
            return Err(self.wrong("expected 'MSP.role' with a role of member, admin, client, peer or orderer"));
        };
        if msp_id.is_empty() || !msp_id.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-') {
            self.position = start;
            return Err(self.wrong("an MSP's name consists of letters, digits, dots and hyphens"));
        }
        let index = self.identities.len();
        self.identities.push(principal(msp_id, role));
        Ok(signed_by(index as i32))
    }

    fn number(&mut self) -> Result<usize, PolicyTextError> {
        self.skip_space();
        let start = self.position;
        let digits = if self.text[self.position..].starts_with(['\'', '"']) { self.quoted()? } else { self.word() };
        digits.parse().ok().filter(|n| *n <= 1_000_000).ok_or_else(|| {
            self.position = start;
            self.wrong("expected the number of signatures")
        })
    }

    fn quoted(&mut self) -> Result<&'a str, PolicyTextError> {
        let rest = &self.text[self.position..];
        let quote = if rest.starts_with('"') { '"' } else { '\'' };
        let Some(length) = rest[1..].find(quote) else { return Err(self.wrong("a quote is not closed")) };
        self.position += length + 2;
        Ok(&rest[1..=length])
    }

    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.position..];
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        self.position += length;
        &rest[..length]
    }

    fn expect(&mut self, character: char) -> Result<(), PolicyTextError> {
        if self.accept(character) { Ok(()) } else { Err(self.wrong(&format!("expected '{character}'"))) }
    }

    fn accept(&mut self, character: char) -> bool {
        self.skip_space();
        let found = self.text[self.position..].starts_with(character);
        self.position += if found { 1 } else { 0 };
        found
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.position..];
        self.position += rest.len() - rest.trim_start().len();
    }

    fn wrong(&self, reason: &str) -> PolicyTextError {
        PolicyTextError { position: self.text[..self.position].chars().count(), reason: reason.to_owned() }
    }
}

fn role_of(name: &str) -> Option<MspRoleType> {
    Some(match name {
        "member" => MspRoleType::Member,
        "admin" => MspRoleType::Admin,
        "client" => MspRoleType::Client,
        "peer" => MspRoleType::Peer,
        "orderer" => MspRoleType::Orderer,
        _ => return None,
    })
}
