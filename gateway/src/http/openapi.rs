//! `openapi.json`: the routes from their handlers, the values from the ledger's own types.

use healthchain_interface::{Page, PageLimit, PageToken};
use healthchain_rules::audit::AuditEntry;
use healthchain_rules::{Category, Disclosure, Link, LinkId, MemberId, MspId, Reason, TransactionId};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use utoipa::openapi::{Info, OpenApi, OpenApiBuilder};

use super::detached::AwaitedSignature;
use super::problem::Details;
use super::resources;
use super::routes::clients::{AccessToken, SmartConfiguration, TokenError};
use super::routes::events::PageOfEvents;
use super::routes::jobs::Job;
use super::routes::openings::{OpeningRequest, SealedOpening};
use super::routes::operations::{Health, ReadinessReport};
use super::routes::patient_index::{IndexEntries, IndexRemoval, IndexSearch};
use super::routes::sessions::{NewSession, OpenSession, SessionChallenge};
use super::routes::transactions::SignatureRequest;
use super::routes::webhooks::{DeadLetters, NewWebhook, WebhookView, Webhooks};
use crate::events::Told;
use crate::state::patient_index::Entry;
use crate::state::uploads::UploadId;

/// The document without its routes.
pub(crate) fn outline() -> OpenApi {
    let mut info = Info::new("Healthchain gateway", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "One organisation's door to the ledger. A TLS client certificate names the caller; the ledger decides. Everything that is \
         not a success is a problem (RFC 9457) with a stable `code`. A member who keeps the key sends any request with the header \
         `Healthchain-Signing: detached`; it is answered 202 with what to sign (schema `AwaitedSignature`), and goes on with the signature at \
         `/v1/transactions/{transaction}/proposal-signature` and `…/transaction-signature`."
            .into(),
    );
    OpenApiBuilder::new().info(info).build()
}

/// The whole document: the routes' values are described by the same types that the chaincode speaks.
pub(crate) fn document(routes: &OpenApi) -> Value {
    let mut generator = resources::generator();
    // First, so that the names of their schemas are those that the table refers to.
    healthchain_interface::contracts(&mut generator);
    let mut schemas = Map::new();
    schemas.insert("PageOfAuditEntries".into(), Page::<AuditEntry>::json_schema(&mut generator).to_value());
    schemas.insert("PageOfDisclosures".into(), Page::<Disclosure>::json_schema(&mut generator).to_value());
    for described in [
        reference::<Category>,
        reference::<Health>,
        reference::<Job>,
        reference::<Entry>,
        reference::<Told>,
        reference::<PageOfEvents>,
        reference::<NewWebhook>,
        reference::<WebhookView>,
        reference::<Webhooks>,
        reference::<DeadLetters>,
        reference::<IndexSearch>,
        reference::<IndexEntries>,
        reference::<IndexRemoval>,
        reference::<Link>,
        reference::<OpeningRequest>,
        reference::<AwaitedSignature>,
        reference::<SignatureRequest>,
        reference::<SealedOpening>,
        reference::<Details>,
        reference::<ReadinessReport>,
        reference::<SessionChallenge>,
        reference::<NewSession>,
        reference::<OpenSession>,
        reference::<SmartConfiguration>,
        reference::<AccessToken>,
        reference::<TokenError>,
    ] {
        described(&mut generator);
    }
    let parameters: [(&str, Value); 13] = [
        ("Tus-Resumable", json!({"type": "string", "enum": ["1.0.0"]})),
        ("base_version", json!({"type": "integer", "minimum": 1, "maximum": u32::MAX})),
        ("category", reference::<Category>(&mut generator)),
        ("limit", reference::<PageLimit>(&mut generator)),
        ("link", reference::<LinkId>(&mut generator)),
        ("member", reference::<MemberId>(&mut generator)),
        ("opening", reference::<TransactionId>(&mut generator)),
        ("organisation", reference::<MspId>(&mut generator)),
        ("page_token", reference::<PageToken>(&mut generator)),
        ("patient", reference::<MemberId>(&mut generator)),
        ("reason", reference::<Reason>(&mut generator)),
        ("transaction", reference::<TransactionId>(&mut generator)),
        ("upload", reference::<UploadId>(&mut generator)),
    ];
    schemas.extend(generator.take_definitions(true));

    let mut document = serde_json::to_value(routes).expect("an OpenAPI document always serialises");
    document["components"]["schemas"] = Value::Object(schemas);
    document["components"]["securitySchemes"] = security_schemes();
    document["security"] = json!([{"clientCertificate": []}, {"session": []}, {"openId": []}, {"clinicSystem": []}]);
    for operation in document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut).flat_map(operations) {
        match operation["tags"][0].as_str() {
            Some("operations" | "signing in") => operation["security"] = json!([]),
            Some("between gateways") => operation["security"] = json!([{"clientCertificate": []}]),
            _ => {}
        }
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            let named = parameters.iter().find(|(name, _)| parameter["name"] == *name);
            if let Some((_, schema)) = named {
                parameter["schema"] = schema.clone();
            }
        }
    }
    resources::describe(&mut document);
    document
}

/// How a caller proves itself.
fn security_schemes() -> Value {
    json!({
        "clientCertificate": {
            "type": "mutualTLS",
            "description": "A TLS client certificate that is bound to a member, or is another organisation's gateway's",
        },
        "session": {
            "type": "http",
            "scheme": "DPoP",
            "description": "A session's token, each time with a DPoP proof made with the member's signing key (RFC 9449)",
        },
        "openId": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token (RFC 9068) of an OpenID provider that this gateway is told of",
        },
        "clinicSystem": {
            "type": "oauth2",
            "description": "A registered clinic system's access token (SMART Backend Services)",
            "flows": {"clientCredentials": {
                "tokenUrl": "/v1/token",
                "scopes": {"system/*.rs": "read and search", "system/*.cruds": "everything"},
            }},
        },
    })
}

fn operations(path: &mut Value) -> impl Iterator<Item = &mut Value> {
    path.as_object_mut().into_iter().flat_map(Map::values_mut)
}

fn reference<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

#[cfg(test)]
mod tests {
    use super::super::router::openapi_document;
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn openapi_json_is_golden() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let document = serde_json::to_string_pretty(&openapi_document()).unwrap() + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(file, &document).unwrap();
        }
        let golden = std::fs::read_to_string(file).unwrap_or_default();
        assert!(golden == document, "openapi.json is outdated: look at what UPDATE_GOLDEN=1 cargo test changes in it");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = openapi_document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_route_of_the_ledger_lists_its_problems() {
        let document = openapi_document();
        let mut ids = std::collections::BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                if path.starts_with("/v1/") {
                    // What is open to all refuses nobody for who he is; the refusals of /v1/token are OAuth's.
                    let statuses: &[_] = match operation["security"] == json!([]) {
                        true if path == "/v1/token" => &[],
                        true => &["503"],
                        false => &["401", "403", "404", "503"],
                    };
                    for status in statuses {
                        let response = &operation["responses"][status];
                        let shared = response["$ref"].as_str().and_then(|place| document.pointer(&place[1..]));
                        let content = &shared.unwrap_or(response)["content"]["application/problem+json"];
                        assert!(content.is_object(), "{method} {path} does not document {status}");
                    }
                }
                assert!(operation.get("parameters").is_none_or(Value::is_array), "{method} {path}");
                assert!(ids.insert(operation["operationId"].as_str()), "{method} {path}: the operation id is taken");
                assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            }
        }
    }
}
