//! An example of each body that the table's functions take, invented. A test holds them to the contracts' types.

use serde_json::{Value, json};

const KEY_HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const PUBLIC_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEifSeFA1goJTfjdI9QIUWlYrR6797eGxyeD3t5NQKL2CpNd6DpnqlYJl7mdCE4lvYad+iB9BV7e4wSTP8Bve64A==";
/// Milliseconds of 2027-01-01T00:00:00Z.
const NEW_YEAR: u64 = 1_798_761_600_000;

/// What the body of a call of this function may be, without what its path carries.
pub(super) fn body(function: &str) -> Option<Value> {
    Some(match function {
        "Links:withdraw" => json!({"reason": "published for the wrong encounter"}),
        "Links:erase" => json!({"reason": "court order 17"}),
        "Amendments:reject" => json!({"reason": "not what the laboratory reported"}),
        "Organisations:enter" => json!({
            "encryption_key": PUBLIC_KEY, "gateway_url": "https://gateway.hospital.example", "gateway_key_hash": KEY_HASH,
            "administrator": "admin-1", "administrator_encryption_key": PUBLIC_KEY,
        }),
        "Organisations:nameCustodians" => json!({"custodians": ["ClinicMSP"]}),
        "Members:register" => {
            json!({"id": "dr-grey", "role": "clinician", "key_hash": KEY_HASH, "encryption_key": PUBLIC_KEY})
        }
        "Members:suspend" => json!({"reason": "on leave"}),
        "Members:retire" => json!({"reason": "left the organisation"}),
        "Members:rotateKey" => json!({"key_hash": KEY_HASH, "encryption_key": PUBLIC_KEY}),
        "Members:attest" => json!({"method": "in-person"}),
        "Governance:propose" => json!({"change": {"change": "dissolve-group", "group": "night-shift"}}),
        "Governance:vote" => json!({"choice": "approve", "reason": "as agreed in May"}),
        "Agents:deploy" => json!({
            "agent": "amendment-checker", "owner": "dr-grey", "key_hash": KEY_HASH, "encryption_key": PUBLIC_KEY,
            "functions": ["Amendments:approve"], "purposes": [], "categories": [], "calls_a_day": 100, "epsilon_a_day": 0,
            "until": NEW_YEAR,
        }),
        "Agents:stop" => json!({"reason": "not needed any more"}),
        "Consents:grant" => json!({
            "patient": "anna", "grantee": {"organisation": "PayerMSP"}, "scope": {"categories": ["summary"]},
            "purposes": ["payment"], "until": NEW_YEAR, "effect": "permit",
        }),
        "Delegations:delegate" => {
            json!({"powers": ["open", "read-audit"], "categories": ["summary"], "until": NEW_YEAR})
        }
        "Requests:ask" => json!({
            "patient": "anna", "for": "organisation", "scope": {"categories": ["summary"]}, "purposes": ["payment"],
            "reason": "claim 4711",
        }),
        "Requests:answer" => json!({"answer": {"grant": {"consent": "for-claim-4711", "until": NEW_YEAR}}}),
        "Requests:setRule" => json!({
            "grantee": {"role": "payer-officer"}, "purposes": ["payment"], "categories": ["summary"],
            "answer": {"grant": {"days": 30}},
        }),
        "Recoveries:plan" => json!({"trustees": [{"member": "mary"}, {"organisation": "ClinicMSP"}], "threshold": 2}),
        "Recoveries:begin" => {
            json!({"key_hash": KEY_HASH, "encryption_key": PUBLIC_KEY, "reason": "the telephone was lost"})
        }
        "Emergencies:declare" => json!({"patient": "anna", "reason": "unconscious at admission", "hours": 4}),
        "Emergencies:review" => json!({"finding": "justified", "note": "admission record seen"}),
        "Audit:read" => json!({"trail": {"of-patient": "anna"}}),
        "Audit:hold" => json!({
            "patient": "anna", "recipient": "AgencyMSP", "statement": "written", "until": NEW_YEAR, "reason": "letter 12",
        }),
        "Subscriptions:makePlan" => json!({"terms": {
            "price": {"amount": 900, "currency": "USD"}, "period_days": 30, "grace_days": 7, "notarization_price": 300,
            "features": {"instant_release": true, "notarizations_a_year": 4, "share_links": false, "family_vault": false},
        }}),
        "Subscriptions:remind" => json!({"reminder": "ending", "until": NEW_YEAR}),
        "Subscriptions:order" => json!({"plan": "basic", "periods": 12}),
        "Notarizations:notarize" => {
            json!({"patient": "anna", "kind": "document", "hash": KEY_HASH, "bill_to": "organisation"})
        }
        "Notarizations:revoke" => json!({"reason": "the wrong document"}),
        "Statistics:define" => json!({
            "title": "opioids", "denominator": "visits", "per": 1000, "classes": ["N02A"], "regions": ["US-MA"],
            "from": "2026-01", "epsilon_budget": 1000,
        }),
        "Statistics:end" => json!({"last": "2026-12"}),
        "Statistics:contribute" => {
            json!({"cells": [{"class": "N02A", "region": "US-MA", "numerator": 100, "denominator": 1000}]})
        }
        "Statistics:release" => json!({
            "period": "2026-03", "epsilon": 100, "mechanism": "discrete-laplace",
            "values": [{"class": "N02A", "region": "US-MA", "numerator": 97, "denominator": 1004}],
        }),
        "Rewards:define" => json!({"terms": {
            "metric": "steps", "target": "ten-thousand-a-day", "alternative_standard": "education", "kind": "activity-only",
            "period": "month", "points": 10, "points_a_year": 120, "point_value": 2, "coverage_cost": 100_000,
            "from": 0, "until": NEW_YEAR,
        }}),
        "Rewards:enrol" => json!({"sponsor": "PayerMSP"}),
        "Rewards:attest" => json!({"period": "2026-03", "standard": "target"}),
        "Rewards:redeem" => json!({"points": 10}),
        _ => return None,
    })
}
