//! What a generated client needs of whoever carries its calls to a chaincode, and how such a call can fail.

use std::fmt::{Debug, Display};
use std::future::Future;

/// Carries calls to one chaincode: `fabric_client::Contract` over a gateway peer, or a test's own, in memory.
pub trait Transact: Send + Sync {
    /// How a call fails; says whether it was the chaincode that refused.
    type Error: CallFailure;

    /// Asks one peer; nothing is written. `function` is `Contract:function`, each argument one JSON text.
    fn evaluate(
        &self,
        function: &str,
        arguments: Vec<Vec<u8>>,
    ) -> impl Future<Output = Result<Vec<u8>, Self::Error>> + Send;

    /// Has the transaction endorsed, ordered and committed; returns the chaincode's result once it is valid on the ledger.
    fn submit(
        &self,
        function: &str,
        arguments: Vec<Vec<u8>>,
    ) -> impl Future<Output = Result<Vec<u8>, Self::Error>> + Send;
}

/// The failure of a call: tells a chaincode's refusal from everything else.
pub trait CallFailure: std::error::Error + Send + Sync + 'static {
    /// The chaincode's own answer, when it was the chaincode that refused ("chaincode response 403, …").
    fn chaincode_response(&self) -> Option<ChaincodeResponse<'_>>;
}

/// A chaincode's answer with a status of 400 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChaincodeResponse<'a> {
    /// 400–599, as in HTTP.
    pub status: i32,
    /// The chaincode's text: a contract's refusal in its own form.
    pub message: &'a str,
}

/// Why a call of a generated client brought no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError<E, R>
where
    E: Debug + Display,
    R: Debug + Display,
{
    /// The contract refused, and says why.
    #[error("{0}")]
    Refused(R),
    /// The call failed on its way, or the chaincode failed in words that are not the contract's.
    #[error("{0}")]
    Failed(E),
    /// The chaincode's result is not what this client's definition of the contract promises: one of them is outdated.
    #[error("the result of the chaincode cannot be read, deploy matching versions of client and chaincode: {0}")]
    Undecodable(String),
}
