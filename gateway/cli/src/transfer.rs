//! Records on their way from and to files: streamed, with a progress bar where a person watches.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use openssl::sha::Sha256;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::{Body, Method, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio_util::io::ReaderStream;

use crate::arguments::{Amend, Open, Publish};
use crate::calls::Call;
use crate::client::{Client, successful};
use crate::error::Error;

const CHUNK: usize = 64 << 10;

/// Sends a file as a record.
pub(crate) async fn publish(client: &Client, publish: &Publish) -> Result<Value, Error> {
    let call = Call::get(["links"]).asking("patient", &publish.patient).asking("category", &publish.category);
    send_file(client, call, &publish.file, publish.media_type.as_deref()).await
}

/// Sends a file as a record's next version.
pub(crate) async fn amend(client: &Client, amend: &Amend) -> Result<Value, Error> {
    let call = Call::get(["links", &amend.link, "amendments"]).asking("reason", &amend.reason);
    let call = call.asking("base_version", &amend.base_version.to_string());
    send_file(client, call, &amend.file, amend.media_type.as_deref()).await
}

/// The file is never in memory as a whole.
async fn send_file(client: &Client, call: Call, file: &Path, named: Option<&str>) -> Result<Value, Error> {
    let content = tokio::fs::File::open(file).await.map_err(Error::file(file))?;
    let length = content.metadata().await.map_err(Error::file(file))?.len();
    let bar = bar("sending", Some(length));
    let sent = bar.clone();
    let chunks = ReaderStream::with_capacity(content, CHUNK).inspect(move |chunk| {
        sent.inc(chunk.as_ref().map_or(0, |chunk| chunk.len() as u64));
    });
    let request = client.request(Method::POST, call.url(client.gateway())?);
    let request = request.header(CONTENT_TYPE, named.unwrap_or_else(|| media_type(file)));
    let request = request.header(CONTENT_LENGTH, length);
    let response = successful(request.body(Body::wrap_stream(chunks)).send().await?).await?;
    bar.finish_and_clear();
    let answer = response.bytes().await?;
    serde_json::from_slice(&answer).map_err(|error| Error::Broken(format!("the gateway's answer is no JSON: {error}")))
}

/// Opens a record into a file, or to standard output, and tells what came. What came broken leaves no file.
pub(crate) async fn open(client: &Client, open: &Open) -> Result<Value, Error> {
    let mut body = json!({ "purpose": open.purpose });
    if let Some(emergency) = &open.emergency {
        body["emergency"] = json!(emergency);
    }
    let call = Call { method: Method::POST, body: Some(body), ..Call::get(["links", &open.link, "openings"]) };
    let response = client.send(&call).await?;
    let opening = text(response.headers(), "opening-transaction");
    let mut told = json!({ "link": open.link, "opening": opening });
    let (bytes, digest) = match &open.output {
        None => receive(response, &mut tokio::io::stdout()).await.map_err(|error| error.at("standard output"))?,
        Some(path) => {
            told["file"] = json!(path);
            into_file(response, path).await?
        }
    };
    told["bytes"] = json!(bytes);
    told["sha256"] = json!(hex::encode(digest));
    Ok(told)
}

/// The SHA-256 of a file.
pub(crate) fn hash(path: &Path) -> Result<String, Error> {
    let mut file = std::fs::File::open(path).map_err(Error::file(path))?;
    let bar = bar("hashing", file.metadata().ok().map(|metadata| metadata.len()));
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk).map_err(Error::file(path))? {
            0 => break,
            length => {
                hash.update(&chunk[..length]);
                bar.inc(length as u64);
            }
        }
    }
    bar.finish_and_clear();
    Ok(hex::encode(hash.finish()))
}

/// Beside the file at first, so that a broken transfer changes nothing.
async fn into_file(response: Response, path: &Path) -> Result<(u64, [u8; 32]), Error> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut options = tokio::fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(&part).await.map_err(Error::file(&part))?;
    let received = receive(response, &mut file).await.map_err(|error| error.at(&part));
    let done = match received {
        Ok(received) => {
            file.sync_all().await.and(std::fs::rename(&part, path)).map(|()| received).map_err(Error::file(path))
        }
        Err(error) => Err(error),
    };
    if done.is_err() {
        // It may not be there.
        let _ = std::fs::remove_file(&part);
    }
    done
}

enum Failed {
    Written(std::io::Error),
    Other(Error),
}

impl Failed {
    fn at(self, path: impl Into<PathBuf>) -> Error {
        match self {
            Self::Written(source) => Error::file(path)(source),
            Self::Other(error) => error,
        }
    }
}

/// Writes a body as it comes, and compares it with the digest that the gateway promised (RFC 9530).
async fn receive(response: Response, into: &mut (impl AsyncWrite + Unpin)) -> Result<(u64, [u8; 32]), Failed> {
    let promised = text(response.headers(), "repr-digest");
    let expected = response.content_length();
    let bar = bar("opening", expected);
    let (mut hash, mut length) = (Sha256::new(), 0);
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Failed::Other(error.into()))?;
        hash.update(&chunk);
        length += chunk.len() as u64;
        bar.inc(chunk.len() as u64);
        into.write_all(&chunk).await.map_err(Failed::Written)?;
    }
    into.flush().await.map_err(Failed::Written)?;
    bar.finish_and_clear();
    let digest = hash.finish();
    let broken = promised.is_some_and(|promised| promised != format!("sha-256=:{}:", STANDARD.encode(digest)));
    if broken || expected.is_some_and(|expected| expected != length) {
        return Err(Failed::Other(Error::Broken("the record came broken; open it again".into())));
    }
    Ok((length, digest))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Shown on standard error, if that is a terminal.
fn bar(what: &'static str, length: Option<u64>) -> ProgressBar {
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what)
}

/// What a file's name says of its content.
fn media_type(file: &Path) -> &'static str {
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "json" => "application/fhir+json",
        "xml" => "application/fhir+xml",
        "pdf" => "application/pdf",
        "dcm" => "application/dicom",
        "txt" => "text/plain",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hashed_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("record");
        let content = vec![7; 3 * CHUNK + 1];
        std::fs::write(&file, &content).unwrap();
        assert_eq!(hash(&file).unwrap(), hex::encode(openssl::sha::sha256(&content)));
        assert!(hash(&folder.path().join("nothing")).unwrap_err().to_string().contains("nothing"));
    }

    #[test]
    fn a_files_name_says_what_it_is() {
        assert_eq!(media_type(Path::new("a/bundle.JSON")), "application/fhir+json");
        assert_eq!(media_type(Path::new("scan")), "application/octet-stream");
    }
}
