//! The `healthchain` program, as a person and as a script runs it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use healthchain_end_to_end::{Person, World, sha256, until};
use serde_json::Value;
use tokio::process::Command;

crate::promises![
    a_record_goes_from_a_clinicians_command_line_to_an_insurers,
    a_script_reads_json_and_exit_codes,
    a_file_that_nobody_notarized_is_not_verified,
    what_cannot_be_done_says_what_to_do,
    a_large_record_streams_from_disk_and_back,
    a_next_version_is_proposed_from_the_command_line,
];

/// A person's configuration folder, with one profile.
struct Terminal {
    folder: PathBuf,
}

struct Outcome {
    code: i32,
    out: String,
    err: String,
}

impl Terminal {
    async fn of(person: &Person) -> Self {
        let folder = std::env::temp_dir().join(format!("healthchain-cli-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let terminal = Self { folder };
        let access = person.access();
        let [certificate, key, root] =
            [&access.tls.certificate, &access.tls.key, &access.tls_root].map(|path| text(path));
        let login =
            ["login", "--gateway", &access.gateway_url, "--certificate", certificate, "--key", key, "--root", root];
        let told = terminal.done(&login).await;
        assert!(told.contains(&format!("member: {}", person.id())), "{told}");
        let profile = std::fs::metadata(terminal.folder.join("configuration/default.toml")).unwrap();
        assert_eq!(profile.permissions().mode() & 0o777, 0o600);
        terminal
    }

    async fn run(&self, arguments: &[&str]) -> Outcome {
        let program = std::env::current_exe().unwrap().with_file_name("healthchain");
        let mut command = Command::new(program);
        command.args(arguments).env("HEALTHCHAIN_CONFIG", self.folder.join("configuration")).current_dir(&self.folder);
        let output = command.output().await.expect("cargo build --workspace --bins made the program");
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Outcome { code: output.status.code().unwrap(), out, err }
    }

    /// Standard output of what has to succeed.
    async fn done(&self, arguments: &[&str]) -> String {
        let Outcome { code, out, err } = self.run(arguments).await;
        assert_eq!(code, 0, "{arguments:?}: {err}");
        out
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[arguments, &["--json"]].concat()).await).unwrap()
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, content).unwrap();
        text(&path).to_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn a_record_goes_from_a_clinicians_command_line_to_an_insurers(world: &World) {
    let patient = world.new_patient();
    let clinician = Terminal::of(&world.hospital_clinician()).await;
    let payer = Terminal::of(&world.payer_officer()).await;
    let own = Terminal::of(&patient).await;
    let id = patient.id().as_str();
    let record = clinician.file("claim.json", br#"{"resourceType":"Claim"}"#);

    let published = clinician.json(&["publish", &record, "--patient", id, "--category", "claim"]).await;
    let link = published["id"].as_str().unwrap();
    let open = ["open", link, "--purpose", "payment"];
    until("the denial", || async {
        let denied = payer.run(&open).await;
        if denied.code == 5 && denied.err.contains("opening: ") { Ok(()) } else { Err(denied.err) }
    })
    .await;

    let organisation = world.payer_officer().access().msp_id.to_string();
    let grant = ["grant", "--to-organisation", &organisation, "--category", "claim", "--purpose", "payment"];
    let consent = own.json(&grant).await;
    let consent = consent["id"].as_str().unwrap();
    until("the record opens", || async {
        let opened = payer.run(&open).await;
        if opened.out == r#"{"resourceType":"Claim"}"# { Ok(()) } else { Err(opened.err) }
    })
    .await;
    until("the list shows it", || async {
        let listed = payer.done(&["list", "--patient", id, "--purpose", "payment"]).await;
        if listed.contains(link) && listed.starts_with("link ") { Ok(()) } else { Err(listed) }
    })
    .await;

    until("the patient sees who looked", || async {
        let looked = own.done(&["who-looked"]).await;
        if looked.contains("link-opened") && looked.contains(&organisation) { Ok(()) } else { Err(looked) }
    })
    .await;
    own.done(&["revoke", consent]).await;
    until("the refusal", || async {
        let refused = payer.run(&open).await;
        if refused.code == 5 { Ok(()) } else { Err(refused.out) }
    })
    .await;
}

async fn a_script_reads_json_and_exit_codes(world: &World) {
    let clinician = Terminal::of(&world.hospital_clinician()).await;
    let me = clinician.json(&["whoami"]).await;
    assert_eq!(me["member"]["id"], world.hospital_clinician().id().as_str());
    assert_eq!(clinician.json(&["call", "GET", "/v1/me"]).await, me);
    let organisations = clinician.json(&["organisations"]).await;
    assert_eq!(organisations.as_array().map(Vec::len), Some(world.network.consortium().organisations.len()));

    let unknown = clinician.run(&["show", "no-such-link", "--json"]).await;
    let problem: Value = serde_json::from_str(&unknown.err).unwrap();
    assert_eq!((unknown.code, problem["code"].as_str()), (6, Some("unknown-link")), "{}", unknown.err);

    // The same run again, with the same key, publishes nothing twice.
    let record = clinician.file("note.json", b"{}");
    let patient = world.new_patient();
    let publish = [
        "publish",
        &record,
        "--patient",
        patient.id().as_str(),
        "--category",
        "summary",
        "--idempotency-key",
        "night-1",
    ];
    let first = clinician.json(&publish).await;
    assert_eq!(clinician.json(&publish).await["id"], first["id"]);
}

async fn a_file_that_nobody_notarized_is_not_verified(world: &World) {
    let clinician = Terminal::of(&world.hospital_clinician()).await;
    let content = uuid::Uuid::new_v4().to_string();
    let letter = clinician.file("letter.pdf", content.as_bytes());
    let verify = ["verify", letter.as_str()];
    let nobody = clinician.run(&verify).await;
    assert_eq!(nobody.code, 1, "{}", nobody.err);
    assert!(nobody.out.contains(&sha256(content.as_bytes())), "{}", nobody.out);

    let notarization = serde_json::json!({
        "notarization": uuid::Uuid::new_v4().to_string(), "patient": world.new_patient().id(), "kind": "document",
        "hash": sha256(content.as_bytes()), "bill_to": "organisation",
    });
    clinician.done(&["call", "POST", "/v1/notarizations", "--data", &notarization.to_string()]).await;
    until("the notarization is found", || async {
        let found = clinician.run(&verify).await;
        if found.code == 0 && found.out.contains("it still stands") { Ok(()) } else { Err(found.out) }
    })
    .await;
}

async fn what_cannot_be_done_says_what_to_do(world: &World) {
    let clinician = Terminal::of(&world.hospital_clinician()).await;
    for (arguments, code, says) in [
        (vec!["--profile", "clinic", "whoami"], 3, "healthchain login --profile clinic"),
        (vec!["publish", "nowhere.json", "--patient", "anna", "--category", "summary"], 3, "nowhere.json"),
        (vec!["call", "GET", "https://elsewhere/v1/me"], 3, "/v1/"),
        (vec!["call", "GET", "/v1/nowhere"], 6, "code: "),
        (vec!["frobnicate"], 2, "Usage"),
    ] {
        let outcome = clinician.run(&arguments).await;
        assert_eq!(outcome.code, code, "{arguments:?}: {}", outcome.err);
        assert!(outcome.err.contains(says), "{arguments:?}: {}", outcome.err);
    }
    // Nobody listens there.
    let profile = clinician.folder.join("configuration/default.toml");
    let elsewhere = std::fs::read_to_string(&profile).unwrap();
    let (before, after) = elsewhere.split_once("https://").unwrap();
    let (_, after) = after.split_once('"').unwrap();
    std::fs::write(&profile, format!("{before}https://localhost:1/\"{after}")).unwrap();
    let outcome = clinician.run(&["whoami"]).await;
    assert_eq!(outcome.code, 4, "{}", outcome.err);
    assert!(clinician.done(&["completions", "bash"]).await.contains("who-looked"));
}

async fn a_large_record_streams_from_disk_and_back(world: &World) {
    let clinician = Terminal::of(&world.hospital_clinician()).await;
    let patient = world.new_patient();
    let content: Vec<u8> = (0..8_000_000_u32).map(|number| (number % 251) as u8).collect();
    let scan = clinician.file("scan.dcm", &content);
    let published =
        clinician.json(&["publish", &scan, "--patient", patient.id().as_str(), "--category", "imaging"]).await;
    let link = published["id"].as_str().unwrap().to_owned();
    let told = clinician.json(&["open", &link, "--purpose", "treatment", "--output", "copy.dcm"]).await;
    assert_eq!((&told["bytes"], &told["sha256"]), (&content.len().into(), &sha256(&content).into()));
    assert_eq!(std::fs::read(clinician.folder.join("copy.dcm")).unwrap(), content);
    assert!(!clinician.folder.join("copy.dcm.part").exists());
}

async fn a_next_version_is_proposed_from_the_command_line(world: &World) {
    let (patient, clinic) = (world.new_patient(), world.clinic_clinician());
    let clinician = Terminal::of(&world.hospital_clinician()).await;
    let link = world.hospital_clinician().publish(patient.id(), "laboratory", b"{}").await;
    let next = clinician.file("next.json", br#"{"resourceType":"Observation"}"#);
    let amend = ["amend", link.as_str(), &next, "--base-version", "1", "--reason", "the unit was wrong"];
    let proposed = clinician.json(&amend).await;
    assert_eq!((&proposed["version"]["number"], &proposed["reason"]), (&2.into(), &"the unit was wrong".into()));
    let path = format!("/v1/amendments/{}", proposed["id"].as_str().unwrap());
    until("the clinic's peer", || async {
        let read = clinic.get(&path).await;
        if read.is_success() { Ok(()) } else { Err(read.text()) }
    })
    .await;
    let late = clinician.run(&["amend", link.as_str(), &next, "--base-version", "7", "--reason", "late"]).await;
    assert!(late.code == 7 && late.err.contains("version 1"), "{}", late.err);
}
