//! REST calls of the gateway, with the member's certificate.

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Identity, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use url::Url;

use crate::calls::Call;
use crate::error::{Error, Problem};
use crate::profile::Profile;

/// Pages are asked for in this size.
const PAGE: u32 = 100;

/// A connection to one gateway as one member.
pub(crate) struct Client {
    http: reqwest::Client,
    gateway: Url,
    /// Marks all of this run's writes, so that repeating the run changes nothing twice.
    idempotency_key: String,
}

impl Client {
    /// Reads the profile's certificate and key. `idempotency_key` is made up when the person gives none.
    pub(crate) fn new(profile: &Profile, idempotency_key: Option<String>) -> Result<Self, Error> {
        if profile.gateway.scheme() != "https" {
            return Err(Error::Input(format!("{} is no https address", profile.gateway)));
        }
        let read = |path: &std::path::Path| std::fs::read(path).map_err(Error::file(path));
        let pem = [read(&profile.certificate)?, b"\n".to_vec(), read(&profile.key)?].concat();
        let identity = Identity::from_pem(&pem).map_err(|error| {
            let (certificate, key) = (profile.certificate.display(), profile.key.display());
            Error::Input(format!("{certificate} and {key} are no certificate and key in PEM: {error}"))
        })?;
        let mut builder = reqwest::Client::builder().identity(identity).https_only(true);
        if let Some(root) = &profile.root {
            let certificates = Certificate::from_pem_bundle(&read(root)?);
            builder =
                builder.tls_certs_only(certificates.map_err(|error| {
                    Error::Input(format!("{} holds no certificate in PEM: {error}", root.display()))
                })?);
        }
        let idempotency_key = idempotency_key.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        Ok(Self { http: builder.build()?, gateway: profile.gateway.clone(), idempotency_key })
    }

    /// Makes a call and gives the JSON of its answer; null when it has none. A list is followed through its pages.
    pub(crate) async fn call(&self, call: &Call) -> Result<Value, Error> {
        let Some(limit) = call.limit else { return body(self.send(call).await?).await };
        let mut items = Vec::new();
        let mut token = None::<String>;
        loop {
            let wanted = limit.saturating_sub(items.len());
            let mut page = call.clone();
            page.query.push(("limit".into(), PAGE.min(u32::try_from(wanted).unwrap_or(PAGE)).to_string()));
            page.query.extend(token.take().map(|token| ("page_token".into(), token)));
            let mut answer = body(self.send(&page).await?).await?;
            // What has no pages comes whole.
            let Some(found) = answer.get_mut("items").and_then(Value::as_array_mut) else { return Ok(answer) };
            items.append(found);
            token = answer["next_page_token"].as_str().map(str::to_owned);
            if token.is_none() || items.len() >= limit {
                items.truncate(limit);
                return Ok(json!({ "items": items, "more": token.is_some() }));
            }
        }
    }

    /// Makes a call and gives the answer if it is a success.
    pub(crate) async fn send(&self, call: &Call) -> Result<Response, Error> {
        let mut request = self.request(call.method.clone(), call.url(&self.gateway)?);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        successful(request.send().await?).await
    }

    /// Makes a call to an address of the gateway that the person wrote.
    pub(crate) async fn send_to(&self, method: Method, url: Url, json: Option<&Value>) -> Result<Value, Error> {
        let request = self.request(method, url);
        let request = if let Some(json) = json { request.json(json) } else { request };
        body(successful(request.send().await?).await?).await
    }

    /// A request with whatever body, to be sent by the caller.
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let writes = method != Method::GET;
        let request = self.http.request(method, url);
        if writes { request.header("Idempotency-Key", &self.idempotency_key) } else { request }
    }

    /// The gateway's address.
    pub(crate) fn gateway(&self) -> &Url {
        &self.gateway
    }
}

/// The answer, or the problem that it tells.
pub(crate) async fn successful(response: Response) -> Result<Response, Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = seconds(response.headers());
    let text = response.bytes().await.unwrap_or_default();
    let mut problem: Problem = serde_json::from_slice(&text).unwrap_or_else(|_| Problem {
        title: format!("the gateway answered {status}"),
        status: status.as_u16(),
        code: String::new(),
        detail: "this is no answer of a Healthchain gateway; check the address".into(),
        opening: None,
        retry_after: None,
    });
    problem.status = status.as_u16();
    problem.retry_after = retry_after;
    Err(Error::Problem(Box::new(problem)))
}

fn seconds(headers: &HeaderMap) -> Option<u64> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

async fn body(response: Response) -> Result<Value, Error> {
    let bytes = response.bytes().await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|error| Error::Broken(format!("the gateway's answer is no JSON: {error}")))
}
