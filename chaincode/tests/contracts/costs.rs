//! What a call costs: round trips between chaincode and peer, counted on a peer that batches.

use fabric_protos::protos::chaincode_message::Type;
use healthchain_interface::PermittedQuery;
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

#[tokio::test]
async fn a_page_of_links_costs_the_same_whatever_the_number_of_links() {
    let consortium = Consortium::new().await;
    let mut costs = Vec::new();
    for more in [4, 30] {
        for n in 0..more {
            consortium.publish(&format!("l-{more}-{n}"), Category::Summary).await;
        }
        let before = consortium.requests.lock().unwrap().clone();
        let query = PermittedQuery {
            patient: id("alice"),
            purpose: Purpose::Treatment,
            page_token: None,
            limit: Some(3.try_into().unwrap()),
        };
        let page = consortium.person("clara").links().permitted(&query).await.unwrap();
        assert_eq!(page.items.len(), 3);
        let after = consortium.requests.lock().unwrap();
        costs.push(after.iter().find(|(transaction, _)| !before.contains_key(*transaction)).unwrap().1.clone());
    }
    assert_eq!(costs[0], costs[1]);
    let reads = [Type::GetStateMultiple, Type::GetStateMultiple, Type::GetStateByRange];
    assert_eq!(costs[0], [&reads[..], &[Type::Completed]].concat());
}
