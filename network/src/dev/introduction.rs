//! What somebody needs to know who has just started a network for trying it.

use std::fmt::Write as _;

use healthchain_rules::Role;

use crate::{
    LedgerKind, Network,
    demo::rest::{curl, shown},
    founding::gateway_url,
};

impl Network {
    /// Where everything is, who there is, and two calls to begin with.
    #[must_use]
    pub fn introduction(&self) -> String {
        let mut text = String::new();
        let organisations = &self.consortium().organisations;
        if let Some(notice) = LedgerKind::Dev.notice() {
            let _ = writeln!(text, "{notice}\n");
        }
        let _ = writeln!(text, "{:<16} {:<24} members", "organisation", "REST API");
        for organisation in organisations {
            let members: Vec<_> = organisation.members.iter().map(|member| member.id.as_str()).collect();
            let _ =
                writeln!(text, "{:<16} {:<24} {}", organisation.name, gateway_url(organisation), members.join(", "));
        }
        let members = self.layout().root().join("organisations/ORGANISATION/members/MEMBER");
        let _ = writeln!(text, "\nEach serves Swagger UI at /docs and its description at /openapi.json.");
        let _ = writeln!(text, "A member calls with its TLS certificate and key, in {}/:\n", shown(&members));
        for (member, path) in self.first_calls() {
            if let Some(access) = self.member(&member) {
                let _ = writeln!(text, "  {} '{}{path}'", curl(&access), access.gateway_url);
            }
        }
        text.push_str("\nCtrl-C stops it.");
        text
    }

    /// Who calls what: everybody may ask who they are, a patient who looked.
    fn first_calls(&self) -> Vec<(String, String)> {
        let organisations = &self.consortium().organisations;
        let mut members = organisations.iter().flat_map(|organisation| &organisation.members);
        let patient = members.find(|member| member.role == Role::Patient).map(|member| member.id.to_string());
        let founder = organisations[0].founder().id.to_string();
        let trail = patient.map(|id| (id.clone(), format!("/v1/patients/{id}/audit")));
        [(founder, "/v1/me".to_owned())].into_iter().chain(trail).collect()
    }
}
