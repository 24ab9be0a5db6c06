//! Parsers of foreign bytes as targets: functions of bytes that must return, whatever the bytes are.
//!
//! The tests run each target with some thousands of mutated seeds, the same ones each time. The program runs one for as long as is wished:
//! `cargo run -p healthchain-fuzz -- content 60`. A target is a plain `fn(&[u8])`, as cargo-fuzz and others want it.

mod background;
mod embedded;
mod ledger;
mod mutation;
mod records;
pub mod tokens;

use std::fmt;

pub use mutation::Mutations;

/// A parser under test.
pub struct Target {
    /// Kebab-case.
    pub name: &'static str,
    /// Panics when the parser does, or when it takes what it must not take.
    pub run: fn(&[u8]),
    /// Bytes that the parser takes, to be mutated.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "content", run: records::content, seeds: records::content_seeds },
    Target { name: "payload", run: records::payload, seeds: records::payload_seeds },
    Target { name: "envelope", run: records::envelope, seeds: records::envelope_seeds },
    Target { name: "part", run: records::part, seeds: records::part_seeds },
    Target { name: "range", run: records::range, seeds: records::range_seeds },
    Target { name: "token", run: tokens::token, seeds: tokens::token_seeds },
    Target { name: "proof", run: tokens::proof, seeds: tokens::proof_seeds },
    Target { name: "assertion", run: tokens::assertion, seeds: tokens::assertion_seeds },
    Target { name: "session-answer", run: tokens::answer, seeds: tokens::answer_seeds },
    Target { name: "signature", run: ledger::signature, seeds: ledger::signature_seeds },
    Target { name: "certificate", run: ledger::certificate, seeds: ledger::certificate_seeds },
    Target { name: "identity", run: ledger::identity, seeds: ledger::identity_seeds },
    Target { name: "msp", run: ledger::msp, seeds: ledger::msp_seeds },
    Target { name: "revocation-list", run: ledger::revocation_list, seeds: ledger::revocation_list_seeds },
    Target { name: "policy-text", run: ledger::policy_text, seeds: ledger::policy_text_seeds },
    Target { name: "proposal", run: ledger::proposal, seeds: ledger::proposal_seeds },
    Target { name: "transaction", run: ledger::transaction, seeds: ledger::proposal_seeds },
    Target { name: "embedded-proposal", run: embedded::proposal, seeds: embedded::proposal_seeds },
    Target { name: "embedded-envelope", run: embedded::envelope, seeds: embedded::envelope_seeds },
    Target { name: "chaincode-to-peer", run: embedded::to_peer, seeds: embedded::to_peer_seeds },
    Target { name: "peer-to-chaincode", run: embedded::to_chaincode, seeds: embedded::to_chaincode_seeds },
    Target { name: "refusal", run: ledger::refusal, seeds: ledger::refusal_seeds },
    Target { name: "arguments", run: ledger::arguments, seeds: ledger::argument_seeds },
    Target { name: "page-token", run: ledger::page_token, seeds: ledger::page_token_seeds },
    Target { name: "event", run: ledger::event, seeds: ledger::event_seeds },
    Target { name: "composite-key", run: ledger::composite_key, seeds: ledger::composite_key_seeds },
];

impl Target {
    /// Runs the seeds and so many mutations of them.
    pub fn run_times(&self, times: u64) {
        let seeds = (self.seeds)();
        seeds.iter().for_each(|seed| (self.run)(seed));
        Mutations::of(seeds).zip(0..times).for_each(|(input, _)| (self.run)(&input));
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}
