//! The system chaincode `qscc`: questions about the chain itself (Fabric: `core/scc/qscc`).

use fabric_protos::protos::{ChaincodeInput, Response};
use prost::Message;

use crate::{channel::Channel, ledger::LedgerError};

/// Whether a name is that of a system chaincode, known here or not.
pub(crate) fn is_system(chaincode: &str) -> bool {
    matches!(chaincode, "qscc" | "cscc" | "lscc" | "_lifecycle")
}

/// Answers a call of a system chaincode. The error is that of one which is not there.
pub(crate) fn query(channel: &Channel, chaincode: &str, input: &ChaincodeInput) -> Result<Response, String> {
    if chaincode != "qscc" {
        return Err(format!(
            "could not launch chaincode {chaincode}.syscc: the embedded ledger does not have this system chaincode; use \
             qscc, or a peer of Fabric's own"
        ));
    }
    Ok(match chain(channel, &input.args) {
        Ok(payload) => Response { status: 200, message: String::new(), payload },
        Err(message) => Response { status: 500, message, payload: Vec::new() },
    })
}

fn chain(channel: &Channel, arguments: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    let [function, name, rest @ ..] = arguments else {
        return Err(format!("Incorrect number of arguments, {}", arguments.len()));
    };
    let (function, name) = (String::from_utf8_lossy(function), String::from_utf8_lossy(name));
    if name != channel.name {
        return Err(format!("Invalid chain ID, {name}"));
    }
    let ledger = &channel.ledger;
    let argument = || rest.first().ok_or_else(|| format!("missing 3rd argument for {function}"));
    match function.as_ref() {
        "GetChainInfo" => Ok(ledger.info().map_err(text)?.encode_to_vec()),
        "GetBlockByNumber" => {
            let given = String::from_utf8_lossy(argument()?).into_owned();
            let number: u64 =
                given.parse().map_err(|error| format!("Failed to parse block number with error {error}"))?;
            let number = if number == u64::MAX { ledger.height().saturating_sub(1) } else { number };
            block(channel, number).map_err(|reason| format!("Failed to get block number {number}, error {reason}"))
        }
        "GetBlockByHash" => {
            let hash = argument()?;
            let given = hex::encode(hash);
            let number = ledger
                .block_number_by_hash(hash)
                .map_err(text)
                .and_then(|number| number.ok_or_else(|| format!("no such block hash [{given}] in index")));
            number
                .and_then(|number| block(channel, number))
                .map_err(|reason| format!("Failed to get block hash {given}, error {reason}"))
        }
        "GetTransactionByID" => {
            let id = String::from_utf8_lossy(argument()?).into_owned();
            let found = ledger.transaction(&id).map_err(text).and_then(|found| found.ok_or_else(|| unknown(&id)));
            let found = found.map_err(|reason| format!("Failed to get transaction with id {id}, error {reason}"))?;
            Ok(found.encode_to_vec())
        }
        "GetBlockByTxID" => {
            let id = String::from_utf8_lossy(argument()?).into_owned();
            let place = ledger.transaction_location(&id).map_err(text);
            place
                .and_then(|place| place.ok_or_else(|| unknown(&id)))
                .and_then(|place| block(channel, place.block))
                .map_err(|reason| format!("Failed to get block for txID {id}, error {reason}"))
        }
        _ => Err(format!("access denied for [{function}][{name}]: [Unmapped policy for qscc/{function}]")),
    }
}

fn block(channel: &Channel, number: u64) -> Result<Vec<u8>, String> {
    match channel.ledger.block(number).map_err(text)? {
        Some(block) => Ok(block.encode_to_vec()),
        None => Err(format!("no such block number [{number}] in index")),
    }
}

fn unknown(transaction: &str) -> String {
    format!("no such transaction ID [{transaction}] in index")
}

fn text(error: LedgerError) -> String {
    error.to_string()
}
