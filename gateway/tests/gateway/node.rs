//! Programs that others wrote, run by Node: `gateway/tests/node/`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use fabric_msp::issue::{Authority, Request};
use reqwest::header::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::proofs::Holder;

const DPOP: HeaderName = HeaderName::from_static("dpop");

fn script(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    assert!(folder.join("node_modules").exists(), "run `npm ci` in {}, or scripts/install-tools.sh", folder.display());
    folder.join(name)
}

/// Runs a script that trusts this authority to its end; the line of JSON that it prints.
pub(crate) async fn run(name: &str, authority: &Path, arguments: &[&str]) -> Value {
    let mut command = tokio::process::Command::new("node");
    command.arg(script(name)).args(arguments).env("NODE_EXTRA_CA_CERTS", authority).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

/// An OpenID provider.
pub(crate) struct Provider {
    pub(crate) issuer: String,
    pub(crate) folder: tempfile::TempDir,
    process: Child,
    commands: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
}

impl Provider {
    /// Starts one whose access tokens are for this audience.
    pub(crate) fn start(audience: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create("tls root", "Provider").unwrap();
        let issued = authority.issue(&Request::tls("provider", &["localhost"], &[])).unwrap();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("root.pem"), authority.certificate().pem()).unwrap();
        std::fs::write(file("certificate.pem"), issued.certificate_pem()).unwrap();
        std::fs::write(file("key.pem"), issued.key_pem()).unwrap();
        let mut command = Command::new("node");
        command.arg(script("provider.mjs")).args([file("certificate.pem"), file("key.pem")]).arg(audience);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (commands, said) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        let mut provider = Self { issuer: String::new(), folder, process, commands, said };
        provider.issuer = provider.line()["issuer"].as_str().unwrap().to_owned();
        provider
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// Gives it a new signing key.
    pub(crate) fn rotate(&mut self) {
        self.say("rotate");
    }

    /// How often its keys were fetched.
    pub(crate) fn fetched(&mut self) -> u64 {
        self.say("fetched")["fetched"].as_u64().unwrap()
    }

    /// Stops it.
    pub(crate) fn stop(&mut self) {
        self.commands = None;
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// An access token for one of its clients.
    pub(crate) async fn token(&self, client: &str, resource: &str) -> String {
        self.token_with(client, resource, HeaderMap::new()).await
    }

    /// An access token that is bound to the key of who asks (RFC 9449).
    pub(crate) async fn bound_token(&self, client: &str, resource: &str, holder: &Holder) -> String {
        let proof = holder.proof("POST", &format!("{}/token", self.issuer), "", &json!({}));
        self.token_with(client, resource, HeaderMap::from_iter([(DPOP, proof.parse().unwrap())])).await
    }

    async fn token_with(&self, client: &str, resource: &str, headers: HeaderMap) -> String {
        let root = reqwest::Certificate::from_pem(&std::fs::read(self.root()).unwrap()).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([root]).no_proxy().build().unwrap();
        let request = http.post(format!("{}/token", self.issuer)).basic_auth(client, Some("known-to-the-test"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("resource", resource)
            .finish();
        let answer = request.headers(headers).body(form).send().await.unwrap().bytes().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    fn say(&mut self, command: &str) -> Value {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
        self.line()
    }

    /// The next line of JSON; the program also says other things.
    fn line(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.said.read_line(&mut line).unwrap(), 0, "the provider has ended");
            if let Ok(value) = serde_json::from_str(&line) {
                return value;
            }
        }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
