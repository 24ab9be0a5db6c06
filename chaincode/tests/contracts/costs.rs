//! What a call costs: round trips between chaincode and peer, counted on a peer that batches.

use fabric_protos::protos::chaincode_message::Type;
use healthchain_rules::*;

use crate::consortium::*;

async fn requests(consortium: &Consortium, transaction: &TransactionId) -> Vec<Type> {
    let all = consortium.requests.lock().unwrap();
    all[transaction.as_str()].clone()
}

#[tokio::test]
async fn an_opening_costs_three_reads_and_one_batch_of_writes() {
    let consortium = Consortium::new().await;
    consortium.publish("l1", Category::Summary).await;
    let permitted = consortium.open("clara", "l1", Purpose::Treatment).await.opening;
    let reads = [Type::GetStateMultiple, Type::GetStateMultiple];
    let writes = [Type::WriteBatchState, Type::Completed];
    assert_eq!(
        requests(&consortium, &permitted.transaction).await,
        [&reads[..], &[Type::GetStateMultiple], &writes].concat()
    );
    let denied = consortium.open("pia", "l1", Purpose::Payment).await.opening;
    assert_eq!(requests(&consortium, &denied.transaction).await, [&reads[..], &writes].concat());
}
