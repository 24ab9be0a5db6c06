//! What a call costs: round trips between chaincode and peer, counted on a peer that batches.

mod people;
mod records;
mod services;

use std::collections::BTreeMap;
use std::sync::Mutex;

use fabric_client::Error;
use fabric_contract::Transact;
use fabric_protos::protos::chaincode_message::Type;
use healthchain_interface::PermittedQuery;
use healthchain_rules::*;
use serde_json::Value;

use crate::consortium::*;

/// What one successful call of each function cost: reads, and batches of writes. A list of links takes a read a category,
/// as long as its page is not full.
#[derive(Default)]
struct Costs(Mutex<BTreeMap<String, (usize, usize)>>);

/// Somebody's calls, of which each is put on the list.
struct Counted<'a> {
    calls: Later,
    requests: Requests,
    costs: &'a Costs,
}

impl Costs {
    fn of(&self, consortium: &Consortium, who: &str) -> Counted<'_> {
        self.of_later(consortium, who, 0)
    }

    fn of_later(&self, consortium: &Consortium, who: &str, hours: u64) -> Counted<'_> {
        Counted { calls: consortium.person(who).later(hours), requests: consortium.requests.clone(), costs: self }
    }
}

impl Counted<'_> {
    fn count(&self, function: &str, transaction: &str) {
        let asked = self.requests.lock().unwrap()[transaction].clone();
        assert_eq!(asked.last(), Some(&Type::Completed), "{function}");
        let is_write = |one: &&Type| matches!(one, Type::WriteBatchState | Type::PutState | Type::DelState);
        let writes = asked.iter().filter(is_write).count();
        let reads = asked.len() - 1 - writes;
        let former = self.costs.0.lock().unwrap().insert(function.to_owned(), (reads, writes));
        assert_eq!(former, None, "{function} is counted twice");
    }
}

impl Transact for Counted<'_> {
    type Error = Error;

    async fn evaluate(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, Error> {
        let proposal = self.calls.proposal(function, arguments);
        let transaction = proposal.transaction_id().to_owned();
        let result = proposal.evaluate().await?;
        self.count(function, &transaction);
        Ok(result)
    }

    async fn submit(&self, function: &str, arguments: Vec<Vec<u8>>) -> Result<Vec<u8>, Error> {
        let proposal = self.calls.proposal(function, arguments);
        let transaction = proposal.transaction_id().to_owned();
        let committed = proposal.endorse().await?.commit().await?;
        self.count(function, &transaction);
        Ok(committed.into_result())
    }
}

/// All functions' names, as clients of other languages learn them.
async fn functions(costs: &Costs) -> Vec<String> {
    let consortium = Consortium::empty().await;
    let client = costs.of(&consortium, "gateway-clinic");
    let metadata = client.evaluate("org.hyperledger.fabric:GetMetadata", Vec::new()).await.unwrap();
    let metadata: Value = serde_json::from_slice(&metadata).unwrap();
    let mut functions = Vec::new();
    for (contract, described) in metadata["contracts"].as_object().unwrap() {
        for transaction in described["transactions"].as_array().unwrap() {
            functions.push(format!("{contract}:{}", transaction["name"].as_str().unwrap()));
        }
    }
    functions.sort();
    functions
}

#[tokio::test]
async fn every_function_is_on_the_list_of_costs() {
    let costs = Costs::default();
    people::call_all(&costs).await;
    records::call_all(&costs).await;
    services::call_all(&costs).await;
    let functions = functions(&costs).await;
    let costs = costs.0.into_inner().unwrap();
    let uncounted: Vec<_> = functions.iter().filter(|function| !costs.contains_key(*function)).collect();
    assert_eq!(uncounted, [""; 0], "call them in the files of the folder `costs`");
    let mut list = "function: reads, batches of writes\n".to_owned();
    for (function, (reads, writes)) in costs {
        list += &format!("{function}: {reads}, {writes}\n");
    }
    insta::assert_snapshot!(list);
}

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
