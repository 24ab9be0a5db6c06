//! The one handler behind every line of the table.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequestParts as _, RawPathParams, Request, State};
use axum::http::request::Parts as RequestParts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use fabric_contract::Transact as _;
use healthchain_rules::LinkId;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::argument::{Arguments, Parts, assemble};
use super::{Answer, Line, TABLE};
use crate::failure::Failure;
use crate::gateway::Gateway;
use crate::http::caller::MemberCaller;
use crate::http::condition;
use crate::http::detached::{Signing, Telling, ask_to_sign};
use crate::http::input;
use crate::http::problem::{MALFORMED_PATH, PRECONDITION_FAILED, Problem};
use crate::http::repeatable::{self, Wish};
use crate::ledger::Contract;
use crate::use_cases::share_link::id_of;
use crate::use_cases::sign_elsewhere::Purpose;
use crate::wallet::WalletMember;

/// A write on its way to the ledger.
pub(crate) struct Call {
    line: &'static Line,
    /// What the path says, which also names what the write changes.
    path: Vec<String>,
    arguments: Arguments,
    headers: HeaderMap,
}

/// The routes of the table.
pub(crate) fn routes() -> Router<Arc<Gateway>> {
    TABLE.iter().fold(Router::new(), |router, line| {
        let filter = MethodFilter::try_from(line.method.clone()).expect("the table has the methods that there are");
        let handler = move |State(gateway): State<Arc<Gateway>>, request: Request| async move {
            serve(line, gateway, request).await
        };
        router.route(line.path, on(filter, handler))
    })
}

async fn serve(line: &'static Line, gateway: Arc<Gateway>, request: Request) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let member = match line.for_everybody {
        true => None,
        false => Some(MemberCaller::from_request_parts(&mut parts, &gateway).await?.0),
    };
    let path = path_values(&mut parts).await?;
    let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let RequestParts { headers, uri, .. } = parts.clone();
    let body = match line.reads() {
        true => Map::new(),
        false => input::optional_object(Request::from_parts(parts, body)).await?,
    };
    let derived_id = match (&member, line.id) {
        (Some(member), Some(_)) => derived_id(member, &headers)?,
        _ => None,
    };
    let arguments = assemble(line, Parts { path: path.clone(), query, body, derived_id })?;
    if let (Some(member), Signing::Elsewhere) = (&member, Signing::of(&headers)?) {
        return ask(&gateway, member, line, arguments, &headers, &uri).await;
    }
    match member {
        Some(member) if !line.reads() => write(&gateway, &member, Call { line, path, arguments, headers }).await,
        Some(member) => read(&gateway.contract(member.signer()?), line, arguments, &headers, &uri).await,
        None => read(&gateway.own_contract(), line, arguments, &headers, &uri).await,
    }
}

/// Hands the caller what to sign. That is not remembered under an Idempotency-Key: it ends in minutes, and the ids that are made of the
/// key make repeating it harmless. A condition would take a question, and its signature, before: the caller reads and decides itself.
async fn ask(
    gateway: &Gateway,
    member: &WalletMember,
    line: &Line,
    Arguments { json, named }: Arguments,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Response, Problem> {
    if condition::is_conditional(headers) {
        return Err(Problem::new(PRECONDITION_FAILED).because("If-Match is not for requests that are signed elsewhere"));
    }
    if !line.reads() {
        input::optional_idempotency_key(headers)?;
    }
    let purpose = if line.reads() { Purpose::Question } else { Purpose::Write };
    let telling = Telling::Line {
        method: line.method.to_string(),
        path: line.path.to_owned(),
        named,
        uri: uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
    };
    ask_to_sign(gateway, member, purpose, line.function, json, &telling).await
}

/// Tells the answer to a call of a line of the table that was signed elsewhere.
pub(crate) fn tell(
    method: &str,
    path: &str,
    named: &Map<String, Value>,
    uri: &str,
    answer: Vec<u8>,
) -> Result<Response, Problem> {
    let unknown = || Failure::Internal(format!("the table has no line {method} {path}, as an earlier release had"));
    let line = TABLE.iter().find(|line| line.path == path && line.method.as_str() == method).ok_or_else(unknown)?;
    let uri: Uri = uri.parse().map_err(|_| unknown())?;
    if line.reads() { told(answer, &HeaderMap::new(), &uri) } else { created(line, named, answer) }
}

async fn read(
    contract: &Contract,
    line: &Line,
    arguments: Arguments,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Response, Problem> {
    told(evaluate(contract, line, arguments).await?, headers, uri)
}

/// The answer to a question.
fn told(answer: Vec<u8>, headers: &HeaderMap, uri: &Uri) -> Result<Response, Problem> {
    let result = understood(&answer)?;
    let tag = condition::entity_tag(&answer);
    let (mut response, tag) = match condition::known(headers, &tag) {
        Some(known) => (StatusCode::NOT_MODIFIED.into_response(), known),
        None => (json(StatusCode::OK, answer), tag.as_str()),
    };
    let head = response.headers_mut();
    head.insert(header::ETAG, value(tag)?);
    // Compressed or not, the tag tells: 304, too, has to say on what that depends.
    head.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // A cache asks each time: what somebody may see changes with every consent.
    head.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Some(token) = result["next_page_token"].as_str() {
        head.insert(header::LINK, value(&format!("<{}>; rel=\"next\"", page(uri, token)))?);
    }
    Ok(response)
}

/// The one place that every write of the table passes, after the caller is known and the arguments are the contract's. What holds
/// for all writes is done here, around [`submit`]: a repetition that the gateway remembers is answered before `If-Match` is looked at,
/// because the first request has changed what the condition is about; and whoever signs elsewhere is handed what to sign in place of
/// [`submit`].
pub(crate) async fn write(gateway: &Arc<Gateway>, member: &WalletMember, call: Call) -> Result<Response, Problem> {
    if call.line.needs_key {
        input::idempotency_key(&call.headers)?;
    }
    let condition = call.headers.get_all(header::IF_MATCH).into_iter().map(HeaderValue::as_bytes);
    let said = call.arguments.json.iter().map(Vec::as_slice).chain(condition);
    let fingerprint = repeatable::fingerprint(gateway, said);
    let wish = Wish { route: format!("{} {}", call.line.method, call.line.path), fingerprint };
    let (headers, signed_for) = (call.headers.clone(), member.id.clone());
    let (its_gateway, member) = (Arc::clone(gateway), member.clone());
    let work = async move {
        require_expected_state(&its_gateway, &member, &call).await?;
        submit(&its_gateway, &member, call).await
    };
    repeatable::answer(gateway, &signed_for, &headers, wish, work).await
}

async fn submit(gateway: &Gateway, member: &WalletMember, call: Call) -> Result<Response, Problem> {
    let Call { line, arguments: Arguments { json: arguments, named }, .. } = call;
    let answer = gateway.contract(member.signer()?).submit(line.function, arguments).await.map_err(Failure::from)?;
    created(line, &named, answer)
}

/// The answer to a write that is on the ledger.
fn created(line: &Line, named: &Map<String, Value>, answer: Vec<u8>) -> Result<Response, Problem> {
    let result = understood(&answer)?;
    Ok(match line.answer {
        Answer::Done => json(StatusCode::OK, answer),
        Answer::Created => json(StatusCode::CREATED, answer),
        Answer::CreatedAt(location) => {
            let mut response = json(StatusCode::CREATED, answer);
            response.headers_mut().insert(header::LOCATION, value(&filled(location, named, &result))?);
            response
        }
    })
}

/// `If-Match` is about the state that the own peer knows just before; what is written between is for the ledger to refuse.
async fn require_expected_state(gateway: &Gateway, member: &WalletMember, call: &Call) -> Result<(), Problem> {
    if !condition::is_conditional(&call.headers) {
        return Ok(());
    }
    let state =
        call.line.state().ok_or_else(|| Problem::new(PRECONDITION_FAILED).because("nothing to compare with"))?;
    let path = call.path.iter().take(state.names().count()).cloned().collect();
    let arguments = assemble(state, Parts { path, ..Parts::default() })?;
    let tag = match evaluate(&gateway.contract(member.signer()?), state, arguments).await {
        Ok(answer) => condition::entity_tag(&answer),
        Err(Failure::Refused(refusal)) if refusal.status() == 404 => return Err(PRECONDITION_FAILED.into()),
        Err(failure) => return Err(failure.into()),
    };
    if condition::is_expected(&call.headers, &tag) { Ok(()) } else { Err(PRECONDITION_FAILED.into()) }
}

async fn evaluate(contract: &Contract, line: &Line, arguments: Arguments) -> Result<Vec<u8>, Failure> {
    Ok(contract.evaluate(line.function, arguments.json).await?)
}

async fn path_values(parts: &mut RequestParts) -> Result<Vec<String>, Problem> {
    let path = RawPathParams::from_request_parts(parts, &()).await;
    let path = path.map_err(|error| Problem::new(MALFORMED_PATH).because(error.body_text()))?;
    Ok(path.iter().map(|(_, value)| value.to_owned()).collect())
}

/// As a link's id is made of its publication's Idempotency-Key, so that a repeated request names what the first one did.
fn derived_id(member: &WalletMember, headers: &HeaderMap) -> Result<Option<String>, Problem> {
    if !headers.contains_key("idempotency-key") {
        return Ok(None);
    }
    Ok(Some(id_of::<LinkId>(&member.id, input::idempotency_key(headers)?).to_string()))
}

/// The ledger's answer, to look into it. The caller gets it as it is.
fn understood(answer: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(answer).map_err(|error| Failure::Unintelligible(error.to_string()))
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    (status, kind, Bytes::from(body)).into_response()
}

/// The same query with another page token.
fn page(uri: &Uri, token: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let given = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    query.extend_pairs(given.filter(|(name, _)| name != "page_token"));
    query.append_pair("page_token", token);
    format!("{}?{}", uri.path(), query.finish())
}

/// A pattern with its names replaced by what the arguments, or else the result, say.
fn filled(pattern: &str, named: &Map<String, Value>, result: &Value) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        Some(name) => named.get(name).unwrap_or(&result[name]).as_str().unwrap_or_default().to_owned(),
        None => part.to_owned(),
    };
    pattern.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// A header of what the ledger says: ids and tokens are visible ASCII, or the ledger is not the one that this gateway knows.
fn value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|error| Failure::Unintelligible(error.to_string()))
}
