//! Which REST call each verb is: data, so that a golden table can show them.

use reqwest::Method;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use url::Url;

use crate::arguments::{
    Agents, Choice, Emergency, Grant, Grantee, Members, OfPatient, Proposals, Reasoned, Requests, Scope,
};
use crate::error::Error;

/// One REST call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The path's parts, not yet encoded.
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
    /// Of a list: how many items at most.
    pub(crate) limit: Option<usize>,
    /// Of a list: what a person wants to see of each item.
    pub(crate) columns: &'static [&'static str],
}

impl Call {
    fn new<const N: usize>(method: Method, path: [&str; N]) -> Self {
        let path = path.map(str::to_owned).to_vec();
        Self { method, path, query: Vec::new(), body: None, limit: None, columns: &[] }
    }

    pub(crate) fn get<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::GET, path)
    }

    fn post<const N: usize>(path: [&str; N], body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Method::POST, path) }
    }

    /// A write that says everything in its path.
    fn act<const N: usize>(path: [&str; N]) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn list(self, limit: usize, columns: &'static [&'static str]) -> Self {
        Self { limit: Some(limit), columns, ..self }
    }

    pub(crate) fn asking(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The whole address at a gateway.
    pub(crate) fn url(&self, gateway: &Url) -> Result<Url, Error> {
        let mut url = gateway.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.clear().push("v1").extend(&self.path),
            Err(()) => return Err(Error::Input(format!("{gateway} is no address of a gateway"))),
        };
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

pub(crate) fn list(patient: &str, of: &OfPatient, purpose: &str) -> Call {
    let call = Call::get(["patients", patient, "links"]).asking("purpose", purpose);
    call.list(of.page.limit, &["link", "category", "version", "publisher", "published", "media_type"])
}

pub(crate) fn withdraw(link: &str, reason: &str) -> Call {
    Call::post(["links", link, "withdrawal"], json!({ "reason": reason }))
}

pub(crate) fn grant(patient: &str, grant: &Grant, id: &str) -> Result<Call, Error> {
    let mut body = json!({
        "consent": id, "patient": patient, "grantee": grantee(&grant.grantee), "scope": scope(&grant.scope),
        "purposes": grant.purpose, "effect": if grant.deny { "deny" } else { "permit" },
    });
    until(&mut body, grant.until.as_deref())?;
    Ok(Call::post(["consents"], body))
}

pub(crate) fn revoke(patient: &str, consent: &str) -> Call {
    Call::act(["patients", patient, "consents", consent, "revocation"])
}

pub(crate) fn consents(patient: &str, of: &OfPatient) -> Call {
    let columns = &["id", "terms.grantee", "terms.effect", "terms.scope", "terms.purposes", "granted"];
    Call::get(["patients", patient, "consents"]).list(of.page.limit, columns)
}

/// The trail of a patient or of a member.
pub(crate) fn who_looked(of: &'static str, whose: &str, limit: usize) -> Call {
    let columns = &["time", "organisation", "member", "act", "link", "purpose", "transaction"];
    Call::get([of, whose, "audit"]).list(limit, columns)
}

pub(crate) fn verify(hash: &str) -> Call {
    Call::get(["verifications"])
        .asking("hash", hash)
        .list(1000, &["id", "kind", "organisation", "notary", "time", "state"])
}

pub(crate) fn organisations() -> Call {
    Call { columns: &["msp_id", "kind", "state.state"], ..Call::get(["organisations"]) }
}

/// A call about requests; `patient` is whose requests they are, `id` what a new request or consent is called.
pub(crate) fn requests(verb: &Requests, patient: &str, id: &str) -> Result<Call, Error> {
    let columns = &["id", "patient", "requester", "organisation", "terms.purposes", "reason", "state"];
    let answer = |request: &str, answer: Value| {
        Call::post(["patients", patient, "access-requests", request, "answer"], json!({ "answer": answer }))
    };
    Ok(match verb {
        Requests::List(of) => Call::get(["patients", patient, "access-requests"]).list(of.page.limit, columns),
        Requests::Mine(page) => Call::get(["access-requests"]).list(page.limit, columns),
        Requests::Ask { patient, scope: of, purpose, for_organisation, until: end, reason } => {
            let beneficiary = if *for_organisation { "organisation" } else { "member" };
            let mut body = json!({
                "request": id, "patient": patient, "for": beneficiary, "scope": scope(of), "purposes": purpose, "reason": reason,
            });
            until(&mut body, end.as_deref())?;
            Call::post(["access-requests"], body)
        }
        Requests::Grant { request, until: end, .. } => {
            let mut grant = json!({ "consent": id });
            until(&mut grant, end.as_deref())?;
            answer(request, json!({ "grant": grant }))
        }
        Requests::Refuse { request, .. } => answer(request, json!({ "refuse": {} })),
        Requests::Withdraw { request } => Call::act(["access-requests", request, "withdrawal"]),
    })
}

pub(crate) fn emergency(verb: &Emergency) -> Call {
    match verb {
        Emergency::Declare { patient, reason, hours } => {
            let mut body = json!({ "patient": patient, "reason": reason });
            if let Some(hours) = hours {
                body["hours"] = json!(hours);
            }
            Call::post(["emergency-accesses"], body)
        }
        Emergency::Show { emergency } => Call::get(["emergency-accesses", emergency]),
        Emergency::End { emergency } => Call::act(["emergency-accesses", emergency, "termination"]),
        Emergency::ToReview(page) => {
            let columns = &["id", "patient", "clinician", "organisation", "at", "reason"];
            Call::get(["emergency-reviews"]).list(page.limit, columns)
        }
        Emergency::Review { emergency, finding, note } => {
            Call::post(["emergency-accesses", emergency, "review"], json!({ "finding": finding, "note": note }))
        }
    }
}

/// A call about members; `keys` are the hash of the signing key and the encryption key of a new one.
pub(crate) fn members(verb: &Members, keys: Option<(String, String)>) -> Call {
    match verb {
        Members::Show { member } => Call::get(["members", member]),
        Members::List { organisation, page } => {
            let columns = &["id", "role", "standing", "attestation"];
            Call::get(["organisations", organisation, "members"]).list(page.limit, columns)
        }
        Members::Register { member, role, .. } => {
            let (key_hash, encryption_key) = keys.unwrap_or_default();
            let body = json!({ "id": member, "role": role, "key_hash": key_hash, "encryption_key": encryption_key });
            Call::post(["members"], body)
        }
        Members::Suspend(Reasoned { member, reason }) => {
            Call::post(["members", member, "suspension"], json!({ "reason": reason }))
        }
        Members::Reinstate { member } => Call::act(["members", member, "reinstatement"]),
        Members::Retire(Reasoned { member, reason }) => {
            Call::post(["members", member, "retirement"], json!({ "reason": reason }))
        }
    }
}

/// A call about proposals; `change` is what a new one changes, and `id` what it is called.
pub(crate) fn proposals(verb: &Proposals, change: Option<Value>, id: &str) -> Call {
    match verb {
        Proposals::List { open, page } => {
            let call = Call::get(["proposals"]).list(page.limit, &["id", "by", "change", "state"]);
            if *open { call.asking("open", "true") } else { call }
        }
        Proposals::Show { proposal } => Call::get(["proposals", proposal]),
        Proposals::Propose { .. } => Call::post(["proposals"], json!({ "proposal": id, "change": change })),
        Proposals::Vote { proposal, choice, reason } => {
            let mut body = json!({ "choice": match choice { Choice::For => "approve", Choice::Against => "reject" } });
            if let Some(reason) = reason {
                body["reason"] = json!(reason);
            }
            Call::post(["proposals", proposal, "votes"], body)
        }
        Proposals::Withdraw { proposal } => Call::act(["proposals", proposal, "withdrawal"]),
    }
}

/// A call about agents; `charter` is that of a new one.
pub(crate) fn agents(verb: &Agents, charter: Option<Value>) -> Call {
    match verb {
        Agents::Show { agent } => Call::get(["agents", agent]),
        Agents::Deploy { .. } => Call::post(["agents"], charter.unwrap_or_default()),
        Agents::Stop { agent, reason } => Call::post(["agents", agent, "termination"], json!({ "reason": reason })),
    }
}

fn grantee(grantee: &Grantee) -> Value {
    let Grantee { to_organisation, to_member, to_role, to_group } = grantee;
    let named = [("organisation", to_organisation), ("member", to_member), ("role", to_role), ("group", to_group)];
    let named = named.into_iter().filter_map(|(kind, name)| Some((kind.to_owned(), json!(name.as_deref()?))));
    Value::Object(named.collect::<Map<_, _>>())
}

fn scope(scope: &Scope) -> Value {
    if scope.link.is_empty() { json!({ "categories": scope.category }) } else { json!({ "links": scope.link }) }
}

/// The ledger counts milliseconds since 1970.
fn until(body: &mut Value, time: Option<&str>) -> Result<(), Error> {
    if let Some(time) = time {
        let parsed = OffsetDateTime::parse(time, &Rfc3339);
        let parsed =
            parsed.map_err(|_| Error::Input(format!("{time:?} is no time; write it as 2027-01-31T12:00:00Z")))?;
        body["until"] = json!(parsed.unix_timestamp_nanos() / 1_000_000);
    }
    Ok(())
}
