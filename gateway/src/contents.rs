//! Port: encrypted contents that lie in another organisation's store.

pub mod https;

use std::ops::Range;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use url::Url;

/// Bytes of another organisation's content, in order.
pub type ContentBytes = BoxStream<'static, Result<Bytes, ContentsError>>;

/// One content, asked for of another organisation on the strength of a committed opening, or of the ledger's saying that the one
/// organisation is the other's custodian.
#[derive(Debug, Clone)]
pub struct ContentRequest<'a> {
    /// MSP id of the organisation that is asked: the publisher, or a custodian.
    pub holder: &'a str,
    /// Where that organisation serves it, at its address on the ledger.
    pub url: &'a Url,
    /// Transaction id of the opening that permits the transfer; none between a publisher and its custodian.
    pub opening: Option<&'a str>,
    /// Length that the ledger holds for the content, in bytes.
    pub length: u64,
    /// The bytes that are asked for; all of them if none are named.
    pub range: Option<Range<u64>>,
}

/// The other organisations' gateways.
pub trait Contents: Send + Sync {
    /// Fetches a content as it comes. At most as many bytes as were asked for are taken; whether they are the right ones, the
    /// caller checks.
    fn fetch<'a>(&'a self, request: ContentRequest<'a>) -> BoxFuture<'a, Result<ContentBytes, ContentsError>>;
}

/// Why another organisation's content could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentsError {
    /// The organisation is not in this gateway's configuration.
    #[error("{0} is not configured here; add its TLS authority under [[organisations]]")]
    UnknownOrganisation(String),
    /// The organisation's gateway does not answer, or not as that organisation's gateway.
    #[error("the gateway of {0} cannot be reached: {1}")]
    Unreachable(String, String),
    /// The organisation's gateway answered, and did not give the content.
    #[error("the gateway of {0} refused the content: {1}")]
    Refused(String, String),
    /// The organisation's gateway does not have the content any more.
    #[error("the gateway of {0} has lost the content")]
    Lost(String),
    /// More bytes came than the ledger holds for the content, or than were asked for.
    #[error("the gateway of {0} sent more than was asked for")]
    TooLong(String),
}
