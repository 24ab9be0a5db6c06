//! What the code written by `#[contract]` calls. Not for use by hand.

use std::fmt::Display;
use std::str::FromStr;

pub use futures::future::BoxFuture;
pub use schemars::SchemaGenerator;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::chaincode::Outcome;
use crate::error::Failure;
use crate::metadata::Misfit;
use crate::transact::{CallError, CallFailure, Transact};

/// Refuses a call with too few or too many arguments.
pub fn count(function: &str, expected: usize, arguments: &[Vec<u8>]) -> Result<(), Failure> {
    if arguments.len() == expected {
        return Ok(());
    }
    let text = format!("{function} takes {expected} arguments, each one JSON text, and got {}", arguments.len());
    Err(Failure::new(400, text))
}

/// Reads one argument.
pub fn argument<T: DeserializeOwned>(function: &str, name: &str, json: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(json)
        .map_err(|error| Failure::new(400, format!("the argument {name} of {function} cannot be read: {error}")))
}

/// Reads one argument and forgets it.
pub fn check<T: DeserializeOwned>(parameter: &'static str, json: Option<&Vec<u8>>) -> Result<(), Misfit> {
    let misfit =
        |path: &str, reason: &dyn Display| Err(Misfit { parameter, path: path.to_owned(), reason: reason.to_string() });
    let Some(json) = json else { return misfit(".", &"it is missing") };
    let mut reader = serde_json::Deserializer::from_slice(json);
    if let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut reader) {
        return misfit(&error.path().to_string(), error.inner());
    }
    reader.end().or_else(|error| misfit(".", &error))
}

/// Writes a function's result for the client.
pub fn outcome<T: Serialize, R: Into<(u16, String)>>(result: Result<T, R>) -> Outcome {
    match result {
        Ok(value) => serde_json::to_vec(&value)
            .map_err(|error| Failure::new(500, format!("the result cannot be written as JSON: {error}"))),
        Err(refusal) => {
            let (status, message) = refusal.into();
            Err(Failure::new(status, message))
        }
    }
}

/// Writes one argument.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("an argument's type writes itself as JSON: no maps with keys that are not text")
}

/// Calls a function that writes.
pub async fn submit<C: Transact, T: DeserializeOwned, R: Refused>(
    caller: &C,
    function: &str,
    arguments: Vec<Vec<u8>>,
) -> Result<T, CallError<C::Error, R>> {
    read(caller.submit(function, arguments).await)
}

/// Calls a function that only reads.
pub async fn evaluate<C: Transact, T: DeserializeOwned, R: Refused>(
    caller: &C,
    function: &str,
    arguments: Vec<Vec<u8>>,
) -> Result<T, CallError<C::Error, R>> {
    read(caller.evaluate(function, arguments).await)
}

/// A refusal that can be read back from a chaincode's message.
pub trait Refused: FromStr + std::fmt::Debug + std::fmt::Display {}
impl<R: FromStr + std::fmt::Debug + std::fmt::Display> Refused for R {}

fn read<T: DeserializeOwned, E: CallFailure, R: Refused>(answer: Result<Vec<u8>, E>) -> Result<T, CallError<E, R>> {
    match answer {
        Ok(result) => serde_json::from_slice(&result).map_err(|error| CallError::Undecodable(error.to_string())),
        Err(failure) => match failure.chaincode_response().and_then(|response| response.message.parse().ok()) {
            Some(refusal) => Err(CallError::Refused(refusal)),
            None => Err(CallError::Failed(failure)),
        },
    }
}
