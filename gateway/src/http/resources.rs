//! Every function of the contracts that REST passes on: one line each. Adding one: docs/adding-a-route.md.

mod argument;
mod contracts;
mod description;
mod examples;
mod serve;

pub(crate) use contracts::generator;
pub(crate) use description::describe;
pub(crate) use serve::{routes, tell};

use axum::http::Method;

/// One function of a contract, as REST offers it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    method: Method,
    /// Names in braces are members of the function's argument; of a function that takes plain values, its arguments in order.
    path: &'static str,
    /// `Contract:function`.
    function: &'static str,
    answer: Answer,
    /// The id that the caller may leave out: it then follows from the caller and the Idempotency-Key.
    id: Option<&'static str>,
    /// Whether the ledger gives the id, so that each repetition would make another: then there has to be an Idempotency-Key.
    needs_key: bool,
    /// The member of the argument that holds the path's names.
    within: Option<&'static str>,
    /// Whether also those may ask whom the gateway does not know; it then asks in its own name.
    for_everybody: bool,
}

/// What a success is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// 200.
    Done,
    /// 201.
    Created,
    /// 201 with this Location; names in braces are members of the argument or of the result.
    CreatedAt(&'static str),
}

const fn line(method: Method, path: &'static str, function: &'static str) -> Line {
    Line {
        method,
        path,
        function,
        answer: Answer::Done,
        id: None,
        needs_key: false,
        within: None,
        for_everybody: false,
    }
}

const fn get(path: &'static str, function: &'static str) -> Line {
    line(Method::GET, path, function)
}

const fn post(path: &'static str, function: &'static str) -> Line {
    line(Method::POST, path, function)
}

const fn put(path: &'static str, function: &'static str) -> Line {
    line(Method::PUT, path, function)
}

const fn delete(path: &'static str, function: &'static str) -> Line {
    line(Method::DELETE, path, function)
}

impl Line {
    const fn creates(mut self) -> Self {
        self.answer = Answer::Created;
        self
    }

    const fn creates_at(mut self, location: &'static str) -> Self {
        self.answer = Answer::CreatedAt(location);
        self
    }

    const fn id(mut self, member: &'static str) -> Self {
        self.id = Some(member);
        self
    }

    const fn needs_key(mut self) -> Self {
        self.needs_key = true;
        self
    }

    const fn within(mut self, member: &'static str) -> Self {
        self.within = Some(member);
        self
    }

    const fn for_everybody(mut self) -> Self {
        self.for_everybody = true;
        self
    }

    fn reads(&self) -> bool {
        self.method == Method::GET
    }

    /// The names in the path's braces, in order.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The line that reads what this one changes: the same path, or the path that it continues by one word.
    fn state(&self) -> Option<&'static Line> {
        let (parent, last) = self.path.rsplit_once('/')?;
        let parent = if last.starts_with('{') { self.path } else { parent };
        let reads = |path| TABLE.iter().find(move |line| line.reads() && line.path == path);
        reads(self.path).or_else(|| reads(parent)).filter(|_| !self.reads())
    }
}

/// The table.
#[rustfmt::skip]
static TABLE: &[Line] = &[
    // Links and their versions.
    get("/v1/links/{link}", "Links:link"),
    get("/v1/links/{link}/versions", "Links:versions"),
    get("/v1/links/{link}/versions/{number}", "Links:version"),
    get("/v1/patients/{patient}/links", "Links:permitted"),
    post("/v1/links/{link}/withdrawal", "Links:withdraw"),
    post("/v1/links/{link}/erasure", "Links:erase"),
    get("/v1/links/{link}/erasure-receipt", "Links:erasureReceipt"),
    get("/v1/openings/{opening}", "Links:opening"),
    get("/v1/openings/{opening}/replay", "Audit:replay"),
    get("/v1/links/{link}/amendments", "Amendments:ofLink"),
    get("/v1/amendments/{amendment}", "Amendments:amendment"),
    post("/v1/amendments/{amendment}/approvals", "Amendments:approve"),
    post("/v1/amendments/{amendment}/rejections", "Amendments:reject"),
    post("/v1/amendments/{amendment}/withdrawal", "Amendments:withdraw"),

    // Organisations, their members, and what they decide together.
    get("/v1/organisations", "Organisations:organisations"),
    post("/v1/organisations", "Organisations:enter").creates_at("/v1/organisations/{msp_id}"),
    get("/v1/organisations/{organisation}", "Organisations:organisation"),
    get("/v1/organisations/{organisation}/members", "Members:ofOrganisation"),
    get("/v1/organisations/{organisation}/custodians", "Organisations:custodians"),
    put("/v1/organisations/{organisation}/custodians", "Organisations:nameCustodians"),
    get("/v1/me", "Members:me"),
    post("/v1/members", "Members:register").creates_at("/v1/members/{id}"),
    get("/v1/members/{member}", "Members:member"),
    post("/v1/members/{member}/suspension", "Members:suspend"),
    post("/v1/members/{member}/reinstatement", "Members:reinstate"),
    post("/v1/members/{member}/retirement", "Members:retire"),
    put("/v1/members/{member}/keys", "Members:rotateKey"),
    get("/v1/members/{member}/attestations", "Members:attestations"),
    post("/v1/members/{member}/attestations", "Members:attest").creates(),
    get("/v1/members/{member}/permissions/{permission}", "Governance:explain"),
    get("/v1/groups", "Governance:groups"),
    get("/v1/groups/{group}", "Governance:group"),
    get("/v1/settings", "Governance:settings"),
    get("/v1/proposals", "Governance:proposals"),
    post("/v1/proposals", "Governance:propose").creates_at("/v1/proposals/{proposal}").id("proposal"),
    get("/v1/proposals/{proposal}", "Governance:proposal"),
    post("/v1/proposals/{proposal}/votes", "Governance:vote"),
    post("/v1/proposals/{proposal}/withdrawal", "Governance:withdraw"),
    post("/v1/agents", "Agents:deploy").creates_at("/v1/agents/{agent}"),
    get("/v1/agents/{agent}", "Agents:agent"),
    post("/v1/agents/{agent}/termination", "Agents:stop"),

    // What patients permit.
    post("/v1/consents", "Consents:grant").creates_at("/v1/patients/{patient}/consents/{consent}").id("consent"),
    get("/v1/patients/{patient}/consents", "Consents:ofPatient"),
    get("/v1/patients/{patient}/consents/{consent}", "Consents:consent"),
    post("/v1/patients/{patient}/consents/{consent}/revocation", "Consents:revoke"),
    get("/v1/patients/{patient}/consent-history", "Consents:allOfPatient"),
    get("/v1/patients/{patient}/delegations", "Delegations:ofPatient"),
    put("/v1/patients/{patient}/delegations/{guardian}", "Delegations:delegate").id("delegation"),
    post("/v1/patients/{patient}/delegations/{guardian}/termination", "Delegations:end"),
    get("/v1/guardians/{guardian}/delegations", "Delegations:ofGuardian"),
    get("/v1/access-requests", "Requests:ofRequester"),
    post("/v1/access-requests", "Requests:ask").creates_at("/v1/access-requests/{request}").id("request"),
    get("/v1/access-requests/{request}", "Requests:request"),
    post("/v1/access-requests/{request}/withdrawal", "Requests:withdraw"),
    get("/v1/patients/{patient}/access-requests", "Requests:ofPatient"),
    post("/v1/patients/{patient}/access-requests/{request}/answer", "Requests:answer"),
    get("/v1/patients/{patient}/standing-rules", "Requests:rules"),
    put("/v1/patients/{patient}/standing-rules/{rule}", "Requests:setRule"),
    delete("/v1/patients/{patient}/standing-rules/{rule}", "Requests:removeRule"),
    get("/v1/patients/{patient}/recovery", "Recoveries:recovery"),
    put("/v1/patients/{patient}/recovery/plan", "Recoveries:plan"),
    post("/v1/patients/{patient}/recoveries", "Recoveries:begin").creates_at("/v1/patients/{patient}/recovery").id("recovery"),
    post("/v1/patients/{patient}/recoveries/{recovery}/approvals", "Recoveries:approve"),
    post("/v1/patients/{patient}/recoveries/{recovery}/objection", "Recoveries:object"),
    post("/v1/patients/{patient}/recoveries/{recovery}/completion", "Recoveries:complete"),

    // Emergencies, audit and accounting.
    post("/v1/emergency-accesses", "Emergencies:declare").creates_at("/v1/emergency-accesses/{id}").needs_key(),
    get("/v1/emergency-accesses/{emergency}", "Emergencies:emergency"),
    post("/v1/emergency-accesses/{emergency}/termination", "Emergencies:end"),
    post("/v1/emergency-accesses/{emergency}/review", "Emergencies:review"),
    get("/v1/emergency-reviews", "Emergencies:toReview"),
    post("/v1/audit-readings", "Audit:read").creates_at("/v1/audit-readings/{transaction}/entries").needs_key(),
    get("/v1/audit-readings/{reading}/entries", "Audit:entries"),
    get("/v1/audit-readings/{reading}/accounting", "Audit:accounting"),
    post("/v1/holds", "Audit:hold").creates_at("/v1/holds/{hold}").id("hold"),
    get("/v1/holds/{hold}", "Audit:held"),
    post("/v1/holds/{hold}/release", "Audit:releaseHold"),

    // Subscriptions, notarizations, statistics, rewards.
    get("/v1/plans", "Subscriptions:plans"),
    post("/v1/plans", "Subscriptions:makePlan").creates().id("plan"),
    post("/v1/plans/{plan}/closure", "Subscriptions:closePlan"),
    get("/v1/patients/{patient}/subscription", "Subscriptions:subscription"),
    get("/v1/subscription-reminders", "Subscriptions:dueReminders"),
    post("/v1/patients/{patient}/subscription/reminders", "Subscriptions:remind"),
    post("/v1/patients/{patient}/orders", "Subscriptions:order").creates_at("/v1/patients/{patient}/subscription").id("order"),
    post("/v1/patients/{patient}/orders/{order}/cancellation", "Subscriptions:cancel"),
    get("/v1/statements/patients/{patient}", "Subscriptions:statement").within("account"),
    get("/v1/statements/organisations/{organisation}", "Subscriptions:statement").within("account"),
    post("/v1/notarizations", "Notarizations:notarize").creates_at("/v1/notarizations/{notarization}").id("notarization"),
    get("/v1/notarizations/{notarization}", "Notarizations:notarization"),
    post("/v1/notarizations/{notarization}/revocation", "Notarizations:revoke"),
    get("/v1/patients/{patient}/notarizations", "Notarizations:ofPatient"),
    get("/v1/verifications", "Notarizations:verify").for_everybody(),
    get("/v1/measures", "Statistics:measures"),
    post("/v1/measures", "Statistics:define").creates().id("measure"),
    post("/v1/measures/{measure}/termination", "Statistics:end"),
    get("/v1/measures/{measure}/budget", "Statistics:budget"),
    put("/v1/measures/{measure}/periods/{period}/contribution", "Statistics:contribute"),
    post("/v1/measures/{measure}/periods/{period}/closure", "Statistics:close"),
    get("/v1/measures/{measure}/periods/{period}/table", "Statistics:table"),
    get("/v1/measures/{measure}/releases", "Statistics:releases"),
    post("/v1/measures/{measure}/releases", "Statistics:release").creates().id("release"),
    get("/v1/programs", "Rewards:programs"),
    post("/v1/programs", "Rewards:define").creates().id("program"),
    post("/v1/programs/{program}/termination", "Rewards:end"),
    put("/v1/programs/{program}/participants/{patient}", "Rewards:enrol"),
    post("/v1/programs/{program}/participants/{patient}/departure", "Rewards:leave"),
    post("/v1/programs/{program}/participants/{patient}/attestations", "Rewards:attest").creates(),
    get("/v1/programs/{program}/participants/{patient}/account", "Rewards:account"),
    post("/v1/programs/{program}/participants/{patient}/redemptions", "Rewards:redeem").creates().id("redemption"),
];

#[cfg(test)]
mod tests;
