//! The limits of sizes and counts. Each is enforced where the value is parsed or decided on.

use std::ops::RangeInclusive;

/// Characters of an id that a caller chooses.
pub const ID_CHARACTERS: usize = 64;
/// Characters of a region's code.
pub const REGION_CHARACTERS: usize = 16;
/// Characters of a free-text reason. It stays on the ledger for ever: no names, dates of birth, record numbers or findings.
pub const REASON_CHARACTERS: usize = 200;
/// Characters of a gateway's address.
pub const URL_CHARACTERS: usize = 256;
/// Characters of a media type.
pub const MEDIA_TYPE_CHARACTERS: usize = 128;
/// Characters of one sealed payload in base64.
pub const SEALED_CHARACTERS: usize = 2048;
/// Bytes of one encrypted record (4 GiB).
pub const CONTENT_BYTES: u64 = 1 << 32;
/// Envelopes that one publication may bring.
pub const ENVELOPES: usize = 64;
/// Versions that one link may have.
pub const VERSIONS: u32 = 9_999;
/// Amendments of one link that may be open at the same time.
pub const OPEN_AMENDMENTS: usize = 16;
/// Custodians that one organisation may name.
pub const CUSTODIANS: usize = 8;
/// Organisations that one consortium may found.
pub const ORGANISATIONS: usize = 64;
/// Days within which a proposal is voted on.
pub const PROPOSAL_DAYS: RangeInclusive<u32> = 1..=90;
/// Days within which an amendment is approved.
pub const AMENDMENT_DAYS: RangeInclusive<u32> = 1..=90;
/// Approvals that a category's amendments need; those that cannot be reached are lowered when an amendment is decided on.
pub const AMENDMENT_QUORUM: RangeInclusive<u32> = 1..=64;
/// Hours that an emergency access lasts at most: governance can neither abolish it nor make it last.
pub const EMERGENCY_HOURS: RangeInclusive<u32> = 1..=24;
/// Days within which an emergency access is reviewed.
pub const REVIEW_DAYS: RangeInclusive<u32> = 1..=30;
/// Hours that a recovery waits: never so few that nobody could object.
pub const RECOVERY_HOURS: RangeInclusive<u32> = 24..=720;
/// What a notarization costs, in minor units of the currency.
pub const NOTARIZATION_PRICE: RangeInclusive<u32> = 0..=1_000_000;
/// Permission groups that are not dissolved.
pub const GROUPS: usize = 64;
/// Members of one permission group.
pub const GROUP_MEMBERS: usize = 256;
/// A permission group's level, by which groups of different minds are ranked.
pub const GROUP_LEVEL: RangeInclusive<u8> = 1..=9;
/// Consents in force for one patient: an opening reads them all at once.
pub const CONSENTS_IN_FORCE: usize = 256;
/// Consents of a patient beyond which standing rules grant no more: what is left of the book is the patient's own.
pub const CONSENTS_BY_RULE: usize = 128;
/// Links that one consent may name.
pub const NAMED_LINKS: usize = 32;
/// Links that all of a patient's consents in force may name together.
pub const NAMED_LINKS_IN_FORCE: usize = 1024;
/// Days that a delegation lasts at most: two years, one of them a leap year.
pub const DELEGATION_DAYS: u32 = 731;
/// Trustees that one recovery plan may name.
pub const TRUSTEES: usize = 16;
/// Days after which a recovery lapses that does not go on.
pub const RECOVERY_DAYS: u32 = 30;
/// Days of a subscription plan's period.
pub const PERIOD_DAYS: u32 = 366;
/// Days of a subscription plan's grace.
pub const GRACE_DAYS: u32 = 90;
/// Days before its end from which on somebody is reminded of a subscription.
pub const REMINDER_DAYS: u32 = 30;
/// Periods that one order may have.
pub const PERIODS: u32 = 12;
/// Days that subscriptions are ordered ahead (five years).
pub const DAYS_AHEAD: u32 = 1830;
/// Days that an organisation orders a patient's subscription ahead: a leap year.
pub const PAYER_DAYS_AHEAD: u32 = 366;
/// Notarizations that a plan may offer for nothing in a year: a line of a statement reads as many places of the year.
pub const FREE_NOTARIZATIONS: u32 = 100;
/// Functions that an agent's charter may name.
pub const CHARTER_FUNCTIONS: usize = 32;
/// Transactions in a day that an agent's charter may allow.
pub const CALLS_A_DAY: u32 = 100_000;
/// Days that an agent's charter lasts at most.
pub const CHARTER_DAYS: u32 = 366;
/// Emergency accesses of one clinician that wait for their reviews.
pub const EMERGENCIES_UNREVIEWED: usize = 8;
/// Days for which an access request waits for its answer.
pub const REQUEST_DAYS: u32 = 30;
/// Requests of one organisation to one patient that wait.
pub const OPEN_REQUESTS: usize = 32;
/// Standing rules of one patient: a request reads them all at once.
pub const STANDING_RULES: usize = 32;
/// Days for which a standing rule grants access (ten years).
pub const RULE_DAYS: u32 = 3660;
/// Links whose envelopes one page of a re-sealing list looks at.
pub const RESEALED_LINKS: u32 = 20;
/// Items on a page when the caller does not say.
pub const PAGE_DEFAULT: u32 = 20;
/// Items on a page at most.
pub const PAGE: u32 = 100;
/// Index entries and named links that one page looks at, so that its cost is bounded whatever the patient's number of
/// links; a page that reaches it is shorter than asked for and has a token to go on.
pub const PAGE_SCAN: u32 = 200;
/// Characters of a page token.
pub const PAGE_TOKEN_CHARACTERS: usize = 512;
/// Milliseconds (an hour) for which a reading of the audit gives its pages; then it is made anew, and is on the audit anew.
pub const READING_MILLISECONDS: u64 = 60 * 60 * 1000;
/// Measures of population statistics that there may be, ended ones included.
pub const MEASURES: usize = 256;
/// Cells of a measure: a class in a region each.
pub const COUNT_CELLS: usize = 256;
/// What one organisation may count in one cell.
pub const COUNT: u64 = 1_000_000_000;
/// How far from zero a noisy count may be.
pub const NOISY_COUNT: u64 = 1_000_000_000_000;
/// The largest count that is not shown: the cell size policy of the Centers for Medicare & Medicaid Services suppresses 1 to 10.
pub const SMALL_COUNT: u64 = 10;
/// Days after a month's end from which it can be closed, so that every organisation has time to contribute.
pub const CLOSING_DAYS: u32 = 30;
/// Organisations that must have contributed to a period before anything of it is shown, and to a cell before that is.
pub const CONTRIBUTORS: usize = 3;
/// A measure's privacy budget in thousandths of ε: 20, about what the United States' 2020 census spent in all.
pub const EPSILON_BUDGET: u32 = 20_000;
/// Reward programs that there may be, ended ones included.
pub const PROGRAMS: usize = 1024;
/// Points that a program gives one participant in a year.
pub const POINTS_A_YEAR: u32 = 1_000_000;
/// What the rewards of a year may be of what coverage costs, in percent (45 CFR 146.121(f)(5)).
pub const REWARD_PERCENT: u128 = 30;
/// Days after a period's end in which its target can be attested.
pub const TARGET_ATTESTATION_DAYS: u32 = 90;
/// Days that an accounting of disclosures reaches back: six years (45 CFR 164.528(a)), two leap days among them.
pub const ACCOUNTING_DAYS: u32 = 6 * 365 + 2;
/// Days that a hold lasts at most after a written statement.
pub const WRITTEN_HOLD_DAYS: u32 = 365;
/// Days that a hold lasts at most after an oral statement (45 CFR 164.528(a)(2)(ii)(C)).
pub const ORAL_HOLD_DAYS: u32 = 30;
/// Holds that may stand on one patient's accounting.
pub const HOLDS: usize = 16;
/// Events that a gateway asks about at once.
pub const EVENTS_AT_ONCE: usize = 100;
