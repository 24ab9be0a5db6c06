//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use url::Url;

/// Publish, open and permit medical records, and see who looked.
#[derive(Debug, Parser)]
#[command(
    name = "healthchain",
    version,
    after_help = "Exit codes: 0 done; 1 not verified; 2 wrong command line; 3 wrong input, file or \
    profile; 4 gateway unavailable, try again; 5 not permitted; 6 not found; 7 refused otherwise; 8 broken answer."
)]
pub(crate) struct Arguments {
    /// Which stored profile to use
    #[arg(long, global = true, env = "HEALTHCHAIN_PROFILE", default_value = "default")]
    pub(crate) profile: String,
    /// Answer in JSON, failures too, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Marks the write, so that running it again with the same key changes nothing twice
    #[arg(long, global = true, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Store who you are and where your gateway is, as a profile
    Login(Login),
    /// Forget a profile; the certificate and key stay
    Logout,
    /// Show the stored profiles
    Profiles,
    /// Show who you are on the ledger
    Whoami,
    /// Encrypt and publish a record of a patient
    Publish(Publish),
    /// Propose a record's next version; it takes effect when other organisations approve it
    Amend(Amend),
    /// List a patient's records that you may open
    List(List),
    /// Show what the ledger knows of a record
    Show {
        /// The record's link
        link: String,
    },
    /// Open a record; the opening stays on the patient's trail
    Open(Open),
    /// Take a record of yours back
    Withdraw {
        /// The record's link
        link: String,
        /// Why; stays on the ledger for ever
        #[arg(long)]
        reason: String,
    },
    /// Permit (or deny) somebody records of a patient
    Grant(Grant),
    /// Take a consent back
    Revoke {
        /// The consent
        consent: String,
        #[command(flatten)]
        patient: Patient,
    },
    /// List the consents in force
    Consents(OfPatient),
    /// See what was done with a patient's records, or what a member did
    WhoLooked {
        #[command(flatten)]
        patient: OfPatient,
        /// What this member did, instead
        #[arg(long, conflicts_with = "patient")]
        member: Option<String>,
    },
    /// Check whether a file was notarized, by its SHA-256
    Verify {
        /// The file
        file: PathBuf,
    },
    /// Requests for access
    #[command(subcommand)]
    Requests(Requests),
    /// Emergency accesses
    #[command(subcommand)]
    Emergency(Emergency),
    /// Members, for administrators
    #[command(subcommand)]
    Members(Members),
    /// List the organisations of the consortium
    Organisations,
    /// What the organisations decide together
    #[command(subcommand)]
    Proposals(Proposals),
    /// Programs that act for a member
    #[command(subcommand)]
    Agents(Agents),
    /// Any call of the REST interface
    Call(RawCall),
    /// Print a script that completes this command line
    Completions {
        /// For which shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Address of your organisation's gateway, https://…
    #[arg(long)]
    pub(crate) gateway: Url,
    /// Your TLS client certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: PathBuf,
    /// Its private key (PEM); it stays where it is
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// The gateway's TLS authority (PEM), if this system does not know it
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The record
    pub(crate) file: PathBuf,
    /// Whose record it is
    #[arg(long, value_name = "MEMBER")]
    pub(crate) patient: String,
    /// summary, encounter-note, laboratory, imaging, medication, immunization, allergy, claim or restricted
    #[arg(long)]
    pub(crate) category: String,
    /// Its media type; by default what the file's name says
    #[arg(long)]
    pub(crate) media_type: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Amend {
    /// The record's link
    pub(crate) link: String,
    /// The next version
    pub(crate) file: PathBuf,
    /// The version that it is to follow: the one that you have read
    #[arg(long, value_name = "NUMBER")]
    pub(crate) base_version: u32,
    /// Why; stays on the ledger for ever
    #[arg(long)]
    pub(crate) reason: String,
    /// Its media type; by default what the file's name says
    #[arg(long)]
    pub(crate) media_type: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) of: OfPatient,
    /// For what you would open them
    #[arg(long, default_value = "treatment")]
    pub(crate) purpose: String,
}

#[derive(Debug, Args)]
pub(crate) struct Open {
    /// The record's link
    pub(crate) link: String,
    /// treatment, payment, operations, research, public-health or personal
    #[arg(long)]
    pub(crate) purpose: String,
    /// The emergency access that you claim
    #[arg(long, value_name = "EMERGENCY")]
    pub(crate) emergency: Option<String>,
    /// Where the record goes; standard output without it
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Grant {
    #[command(flatten)]
    pub(crate) grantee: Grantee,
    #[command(flatten)]
    pub(crate) scope: Scope,
    /// For what; may be repeated
    #[arg(long, required = true)]
    pub(crate) purpose: Vec<String>,
    /// Deny instead of permitting
    #[arg(long)]
    pub(crate) deny: bool,
    /// Until when, 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    #[command(flatten)]
    pub(crate) patient: Patient,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Grantee {
    /// To an organisation, by MSP id
    #[arg(long, value_name = "MSP_ID")]
    pub(crate) to_organisation: Option<String>,
    /// To one member
    #[arg(long, value_name = "MEMBER")]
    pub(crate) to_member: Option<String>,
    /// To everybody with a role
    #[arg(long, value_name = "ROLE")]
    pub(crate) to_role: Option<String>,
    /// To a permission group
    #[arg(long, value_name = "GROUP")]
    pub(crate) to_group: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Scope {
    /// Which kind of records; may be repeated
    #[arg(long, conflicts_with = "link")]
    pub(crate) category: Vec<String>,
    /// Which record; may be repeated
    #[arg(long)]
    pub(crate) link: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Patient {
    /// Whose; yourself without it
    #[arg(long, value_name = "MEMBER")]
    pub(crate) patient: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OfPatient {
    #[command(flatten)]
    pub(crate) patient: Patient,
    #[command(flatten)]
    pub(crate) page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct Page {
    /// How many at most
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Requests {
    /// List the requests to a patient
    List(OfPatient),
    /// List your own requests
    Mine(Page),
    /// Ask a patient for access
    Ask {
        /// Whom
        patient: String,
        #[command(flatten)]
        scope: Scope,
        /// For what; may be repeated
        #[arg(long, required = true)]
        purpose: Vec<String>,
        /// For all of your organisation, not for you alone
        #[arg(long)]
        for_organisation: bool,
        /// Until when, 2027-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Why; the patient reads it
        #[arg(long)]
        reason: String,
    },
    /// Grant what a request asks for
    Grant {
        /// The request
        request: String,
        /// Until when at the latest, 2027-01-31T12:00:00Z
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        #[command(flatten)]
        patient: Patient,
    },
    /// Refuse a request
    Refuse {
        /// The request
        request: String,
        #[command(flatten)]
        patient: Patient,
    },
    /// Take your own request back
    Withdraw {
        /// The request
        request: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Emergency {
    /// Declare an emergency of a patient
    Declare {
        /// Whose
        patient: String,
        /// Why; the patient reads it
        #[arg(long)]
        reason: String,
        /// For how many hours
        #[arg(long)]
        hours: Option<u32>,
    },
    /// Show an emergency access
    Show {
        /// Which
        emergency: String,
    },
    /// End one before its time
    End {
        /// Which
        emergency: String,
    },
    /// List those that wait for your review
    ToReview(Page),
    /// Close a review
    Review {
        /// Which
        emergency: String,
        /// justified or not-justified
        #[arg(long)]
        finding: String,
        /// In your words; patient and clinician read it
        #[arg(long)]
        note: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Members {
    /// Show a member
    Show {
        /// Which
        member: String,
    },
    /// List an organisation's members
    List {
        /// MSP id
        organisation: String,
        #[command(flatten)]
        page: Page,
    },
    /// Register somebody, by the signing certificate
    Register {
        /// A pseudonym; never a name or a record number
        member: String,
        /// The role
        #[arg(long)]
        role: String,
        /// The signing certificate (PEM)
        #[arg(long, value_name = "FILE")]
        certificate: PathBuf,
        /// A file (PEM) with a certificate or public key to encrypt to, if it is another key
        #[arg(long, value_name = "FILE")]
        encryption_key: Option<PathBuf>,
    },
    /// Suspend a member, at once
    Suspend(Reasoned),
    /// End a suspension
    Reinstate {
        /// Which
        member: String,
    },
    /// Retire a member, for ever
    Retire(Reasoned),
}

#[derive(Debug, Args)]
pub(crate) struct Reasoned {
    /// Which
    pub(crate) member: String,
    /// Why; stays on the ledger for ever
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Proposals {
    /// List them, newest first
    List {
        /// Only those that wait for votes
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        page: Page,
    },
    /// Show one with its votes
    Show {
        /// Which
        proposal: String,
    },
    /// Propose a change
    Propose {
        /// A file with the change in JSON; - for standard input
        change: PathBuf,
    },
    /// Cast your organisation's vote
    Vote {
        /// On which
        proposal: String,
        /// For or against
        choice: Choice,
        /// Why; stays on the ledger for ever
        #[arg(long)]
        reason: Option<String>,
    },
    /// Take your organisation's proposal back
    Withdraw {
        /// Which
        proposal: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Choice {
    /// In favour
    For,
    /// Opposed
    Against,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Agents {
    /// Show an agent's charter, and what it used up today
    Show {
        /// Which
        agent: String,
    },
    /// Deploy one
    Deploy {
        /// A file with the charter in JSON; - for standard input
        charter: PathBuf,
    },
    /// Stop one for good
    Stop {
        /// Which
        agent: String,
        /// Why; stays on the ledger for ever
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RawCall {
    /// GET, POST, PUT or DELETE
    pub(crate) method: String,
    /// Path and query, /v1/…
    pub(crate) path: String,
    /// JSON to send; @FILE reads a file, @- standard input
    #[arg(long, short)]
    pub(crate) data: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
