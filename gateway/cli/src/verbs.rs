//! What each verb does.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::CommandFactory as _;
use openssl::pkey::PKey;
use openssl::x509::X509;
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use crate::arguments::{Agents, Arguments, Login, Members, Patient, Proposals, RawCall, Requests, Verb};
use crate::calls::{self, Call};
use crate::client::Client;
use crate::error::Error;
use crate::output;
use crate::profile::{Profile, Profiles, is_open_to_others};
use crate::transfer;

/// Runs a verb and tells what came of it.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    let Arguments { profile: name, json, idempotency_key, verb } = arguments;
    let verb = match verb {
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "healthchain", &mut std::io::stdout());
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Login(login) => return log_in(&name, login, json).await,
        Verb::Logout => {
            Profiles::of_user()?.remove(&name)?;
            output::answer(&json!({ "profile": name, "removed": true }), &[], json);
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Profiles => return profiles(json),
        verb => verb,
    };
    let profile = Profiles::of_user()?.load(&name)?;
    let client = Client::new(&profile, idempotency_key)?;
    act(&client, &profile, verb, json).await
}

async fn act(client: &Client, profile: &Profile, verb: Verb, json: bool) -> Result<ExitCode, Error> {
    let told = match &verb {
        Verb::Verify { file } => return verify(client, file, json).await,
        Verb::Publish(publish) => transfer::publish(client, publish).await?,
        Verb::Amend(amend) => transfer::amend(client, amend).await?,
        Verb::Open(open) if open.output.is_none() => {
            if json {
                return Err(Error::Input("with --json, name a file for the record with --output".into()));
            }
            // The record itself is what is told.
            transfer::open(client, open).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Verb::Open(open) => transfer::open(client, open).await?,
        Verb::Call(call) => raw(client, call).await?,
        verb => {
            let call = call_of(verb, &profile.member, &uuid::Uuid::new_v4().to_string())?;
            output::answer(&client.call(&call).await?, call.columns, json);
            return Ok(ExitCode::SUCCESS);
        }
    };
    output::answer(&told, &[], json);
    Ok(ExitCode::SUCCESS)
}

/// The one call that a verb is. `me` is the member who calls, `id` what something new is called.
fn call_of(verb: &Verb, me: &str, id: &str) -> Result<Call, Error> {
    let of = |patient: &Patient| patient.patient.clone().unwrap_or_else(|| me.to_owned());
    Ok(match verb {
        Verb::Whoami => Call::get(["me"]),
        Verb::List(list) => calls::list(&of(&list.of.patient), &list.of, &list.purpose),
        Verb::Show { link } => Call::get(["links", link]),
        Verb::Withdraw { link, reason } => calls::withdraw(link, reason),
        Verb::Grant(grant) => calls::grant(&of(&grant.patient), grant, id)?,
        Verb::Revoke { consent, patient } => calls::revoke(&of(patient), consent),
        Verb::Consents(whose) => calls::consents(&of(&whose.patient), whose),
        Verb::WhoLooked { member: Some(member), patient } => calls::who_looked("members", member, patient.page.limit),
        Verb::WhoLooked { member: None, patient } => {
            calls::who_looked("patients", &of(&patient.patient), patient.page.limit)
        }
        Verb::Requests(verb) => {
            let patient = match verb {
                Requests::List(whose) => of(&whose.patient),
                Requests::Grant { patient, .. } | Requests::Refuse { patient, .. } => of(patient),
                Requests::Mine(_) | Requests::Ask { .. } | Requests::Withdraw { .. } => String::new(),
            };
            calls::requests(verb, &patient, id)?
        }
        Verb::Emergency(verb) => calls::emergency(verb),
        Verb::Members(verb) => calls::members(verb, keys(verb)?),
        Verb::Organisations => calls::organisations(),
        Verb::Proposals(verb) => {
            let change = if let Proposals::Propose { change } = verb { Some(json_of(change)?) } else { None };
            calls::proposals(verb, change, id)
        }
        Verb::Agents(verb) => {
            let charter = if let Agents::Deploy { charter } = verb { Some(json_of(charter)?) } else { None };
            calls::agents(verb, charter)
        }
        Verb::Login(_) | Verb::Logout | Verb::Profiles | Verb::Completions { .. } => {
            unreachable!("no gateway is called")
        }
        Verb::Publish(_) | Verb::Amend(_) | Verb::Open(_) | Verb::Verify { .. } | Verb::Call(_) => {
            unreachable!("more than one call")
        }
    })
}

/// Stores a profile once the gateway has said who one is there.
async fn log_in(name: &str, login: Login, json: bool) -> Result<ExitCode, Error> {
    let whole = |path: PathBuf| std::path::absolute(&path).map_err(Error::file(path));
    let mut profile = Profile {
        gateway: login.gateway,
        certificate: whole(login.certificate)?,
        key: whole(login.key)?,
        root: login.root.map(whole).transpose()?,
        member: String::new(),
    };
    if is_open_to_others(&profile.key) {
        eprintln!("healthchain: {} can be read by others; chmod 600 it", profile.key.display());
    }
    let answer = Client::new(&profile, None)?.call(&Call::get(["me"])).await?;
    let me = &answer["member"];
    let member = me["id"].as_str().ok_or_else(|| Error::Broken("the gateway did not say who you are".into()))?;
    profile.member = member.to_owned();
    let file = Profiles::of_user()?.store(name, &profile)?;
    let told = json!({
        "profile": name, "file": file, "member": member, "organisation": me["organisation"], "role": me["role"],
    });
    output::answer(&told, &[], json);
    Ok(ExitCode::SUCCESS)
}

fn profiles(json: bool) -> Result<ExitCode, Error> {
    let all = Profiles::of_user()?.all()?;
    let items = all.into_iter().map(|(name, profile)| {
        json!({ "profile": name, "member": profile.member, "gateway": profile.gateway, "certificate": profile.certificate })
    });
    let items = json!({ "items": items.collect::<Vec<_>>() });
    output::answer(&items, &["profile", "member", "gateway", "certificate"], json);
    Ok(ExitCode::SUCCESS)
}

/// Succeeds when some notary's organisation stands by a notarization of the file.
async fn verify(client: &Client, file: &Path, json: bool) -> Result<ExitCode, Error> {
    let hash = transfer::hash(file)?;
    let call = calls::verify(&hash);
    let found = client.call(&call).await?;
    let stands = |item: &Value| item["state"] == "valid" || item["state"]["state"] == "valid";
    let verified = found["items"].as_array().is_some_and(|items| items.iter().any(stands));
    if json {
        output::answer(&json!({ "sha256": hash, "verified": verified, "notarizations": found["items"] }), &[], true);
    } else {
        output::tell(&format!("SHA-256 {hash}"));
        output::answer(&found, call.columns, false);
        output::tell(if verified { "Notarized, and it still stands." } else { "Nobody stands by this content." });
    }
    Ok(if verified { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn raw(client: &Client, call: &RawCall) -> Result<Value, Error> {
    let method = Method::from_bytes(call.method.to_uppercase().as_bytes());
    let method = method.map_err(|_| Error::Input(format!("{:?} is no HTTP method", call.method)))?;
    let foreign = || Error::Input(format!("{:?} is no path; write it as /v1/…", call.path));
    let address: Url = client.gateway().join(&call.path).map_err(|_| foreign())?;
    if !call.path.starts_with('/') || address.origin() != client.gateway().origin() {
        return Err(foreign());
    }
    let body = match call.data.as_deref().map(|data| (data, data.strip_prefix('@'))) {
        None => None,
        Some((_, Some(file))) => Some(json_of(Path::new(file))?),
        Some((text, None)) => {
            Some(serde_json::from_str(text).map_err(|error| Error::Input(format!("--data is no JSON: {error}")))?)
        }
    };
    client.send_to(method, address, body.as_ref()).await
}

/// Of a member to register: the hash of the signing key (SHA-256 of its SPKI) and the encryption key (SPKI in base64).
fn keys(verb: &Members) -> Result<Option<(String, String)>, Error> {
    let Members::Register { certificate, encryption_key, .. } = verb else { return Ok(None) };
    let signing = public_key(certificate)?;
    let encryption = encryption_key.as_deref().map_or_else(|| Ok(signing.clone()), public_key)?;
    Ok(Some((hex::encode(openssl::sha::sha256(&signing)), STANDARD.encode(encryption))))
}

/// The public key (SPKI, DER) of a certificate, or one that stands for itself, in PEM.
fn public_key(path: &Path) -> Result<Vec<u8>, Error> {
    let pem = std::fs::read(path).map_err(Error::file(path))?;
    let key = X509::from_pem(&pem).and_then(|certificate| certificate.public_key());
    let key = key.or_else(|_| PKey::public_key_from_pem(&pem)).and_then(|key| key.public_key_to_der());
    key.map_err(|_| Error::Input(format!("{} holds neither a certificate nor a public key in PEM", path.display())))
}

/// JSON of a file, or of standard input for `-`.
fn json_of(path: &Path) -> Result<Value, Error> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(Error::file(path))?;
    serde_json::from_str(&text).map_err(|error| Error::Input(format!("{} is no JSON: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn call(line: &str) -> Result<String, Error> {
        let words = std::iter::once("healthchain").chain(line.split(' '));
        let arguments = Arguments::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
        let call = call_of(&arguments.verb, "me", "new-id")?;
        let url = call.url(&"https://gateway/".parse().unwrap())?;
        let body = call.body.map(|body| format!("\n    {body}")).unwrap_or_default();
        Ok(format!("{line}\n    {} {}{body}\n", call.method, url.as_str().trim_start_matches("https://gateway")))
    }

    const LINES: [&str; 39] = [
        "whoami",
        "list",
        "list --patient anna --purpose payment",
        "show link-1",
        "withdraw link-1 --reason wrong",
        "grant --to-organisation PayerMSP --category claim --category summary --purpose payment",
        "grant --to-member m-1 --link l-1 --purpose treatment --deny --patient anna --until 2027-01-31T12:00:00Z",
        "grant --to-role clinician --category allergy --purpose treatment",
        "grant --to-group g-1 --category allergy --purpose treatment",
        "revoke c-1",
        "revoke c-1 --patient anna",
        "consents",
        "who-looked",
        "who-looked --patient anna",
        "who-looked --member dr-grey",
        "requests list",
        "requests mine",
        "requests ask anna --category claim --purpose payment --reason claim-7 --for-organisation",
        "requests grant r-1",
        "requests refuse r-1 --patient anna",
        "requests withdraw r-1",
        "emergency declare anna --reason unconscious --hours 2",
        "emergency show e-1",
        "emergency end e-1",
        "emergency to-review",
        "emergency review e-1 --finding justified --note seen",
        "members show m-1",
        "members list PayerMSP",
        "members suspend m-1 --reason left",
        "members reinstate m-1",
        "members retire m-1 --reason left",
        "organisations",
        "proposals list --open",
        "proposals show p-1",
        "proposals vote p-1 for --reason good",
        "proposals vote p-1 against",
        "proposals withdraw p-1",
        "agents show a-1",
        "agents stop a-1 --reason done",
    ];

    #[test]
    fn verbs_are_a_golden_table_of_calls() {
        insta::assert_snapshot!(LINES.map(|line| call(line).unwrap()).concat());
    }

    /// Whether the gateway's document has a path for this method and path.
    fn is_documented(document: &Value, method: &str, path: &str) -> bool {
        let parts: Vec<_> = path.split('?').next().unwrap_or_default().split('/').collect();
        document["paths"].as_object().unwrap().iter().any(|(pattern, methods)| {
            let pattern: Vec<_> = pattern.split('/').collect();
            let fits = |(pattern, part): (&&str, &&str)| pattern == part || pattern.starts_with('{');
            pattern.len() == parts.len()
                && pattern.iter().zip(&parts).all(fits)
                && methods.get(method.to_lowercase()).is_some()
        })
    }

    #[test]
    fn every_call_is_one_that_the_gateway_documents() {
        let document: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
        for line in LINES {
            let told = call(line).unwrap();
            let (method, path) = told.lines().nth(1).unwrap().trim().split_once(' ').unwrap();
            assert!(is_documented(&document, method, path), "{line}: {method} {path}");
        }
        assert!(!is_documented(&document, "GET", "/v1/nowhere/x"));
    }

    #[test]
    fn a_name_cannot_lead_to_another_route() {
        assert!(call("show ../me?x").unwrap().contains("GET /v1/links/..%2Fme%3Fx\n"));
    }

    #[test]
    fn a_time_that_is_none_says_how_to_write_one() {
        let line = "grant --to-member m-1 --link l-1 --purpose treatment --until tomorrow";
        assert!(call(line).unwrap_err().to_string().contains("2027-01-31T12:00:00Z"));
    }

    #[test]
    fn a_consent_is_to_somebody_about_something_for_something() {
        for line in [
            "grant --category claim --purpose payment",
            "grant --to-member m-1 --purpose payment",
            "grant --to-member m-1 --category claim",
            "grant --to-member m-1 --to-role clinician --category claim --purpose payment",
            "grant --to-member m-1 --category claim --link l-1 --purpose payment",
        ] {
            assert!(
                Arguments::try_parse_from(std::iter::once("healthchain").chain(line.split(' '))).is_err(),
                "{line}"
            );
        }
    }

    #[test]
    fn a_member_is_registered_by_the_keys_of_its_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(openssl::ec::EcKey::generate(&group).unwrap()).unwrap();
        let file = folder.path().join("key.pem");
        std::fs::write(&file, key.public_key_to_pem().unwrap()).unwrap();
        let told = call(&format!("members register m-1 --role patient --certificate {}", file.display())).unwrap();
        let spki = key.public_key_to_der().unwrap();
        assert!(
            told.contains(&hex::encode(openssl::sha::sha256(&spki))) && told.contains(&STANDARD.encode(spki)),
            "{told}"
        );

        std::fs::write(&file, "none").unwrap();
        let error = call(&format!("members register m-1 --role patient --certificate {}", file.display())).unwrap_err();
        assert!(error.to_string().contains("key.pem"), "{error}");
    }
}
