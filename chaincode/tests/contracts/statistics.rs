use healthchain_interface::{
    ClosePeriod, ContributeCounts, DefineMeasure, EndMeasure, ReleaseStatistics, ReleasesQuery, StatisticsClient,
    TableQuery,
};
use healthchain_rules::statistics::contribution::CountCell;
use healthchain_rules::statistics::release::{Budget, Mechanism, NoisyCell};
use healthchain_rules::statistics::table::Counted;
use healthchain_rules::*;
use serde_json::{Value, json};

use crate::consortium::*;

/// With an agency and a third organisation that cares for patients; ann is an analyst, mia a maintainer of the hospital.
pub(crate) async fn consortium() -> Consortium {
    let more = [("agency", OrganisationKind::PublicHealth), ("practice", OrganisationKind::PrimaryCare)];
    let mut consortium = Consortium::with(&more).await;
    consortium.register("ann", "agency", Role::Analyst).await;
    consortium.register("mia", "hospital", Role::Maintainer).await;
    consortium
}

pub(crate) fn measure(name: &str, class: &str) -> DefineMeasure {
    DefineMeasure {
        measure: id(name),
        title: id(name),
        denominator: id("visits"),
        per: 1000,
        classes: [id(class)].into(),
        regions: [id("US-MA"), id("US-NH")].into(),
        from: id("2020-01"),
        epsilon_budget: 1000,
    }
}

pub(crate) fn counts(period: &str, massachusetts: u64) -> ContributeCounts {
    let cell =
        |region: &str, numerator: u64| CountCell { class: id("J01"), region: id(region), numerator, denominator: 1000 };
    let cells = vec![cell("US-MA", massachusetts), cell("US-NH", 100)];
    ContributeCounts { measure: id("antibiotics"), period: id(period), cells: cells.try_into().unwrap() }
}

pub(crate) fn closing(period: &str) -> ClosePeriod {
    ClosePeriod { measure: id("antibiotics"), period: id(period) }
}

pub(crate) fn of_month(period: &str) -> TableQuery {
    TableQuery { measure: id("antibiotics"), period: id(period) }
}

pub(crate) fn release(name: &str, epsilon: u32) -> ReleaseStatistics {
    let value = NoisyCell { class: id("J01"), region: id("US-MA"), numerator: -2, denominator: 3001 };
    ReleaseStatistics {
        release: id(name),
        measure: id("antibiotics"),
        period: id("2020-01"),
        epsilon: epsilon.try_into().unwrap(),
        mechanism: Mechanism::DiscreteGaussian,
        values: vec![value].try_into().unwrap(),
    }
}

fn with(call: impl serde::Serialize, field: &str, value: Value) -> Value {
    let mut call = serde_json::to_value(call).unwrap();
    call[field] = value;
    call
}

#[tokio::test]
async fn what_three_organisations_counted_is_shown_when_the_month_is_closed() {
    let consortium = consortium().await;
    let (max, ann) = (consortium.person("max").statistics(), consortium.person("ann").statistics());
    let defined = max.define(&measure("antibiotics", "J01")).await.unwrap();
    assert_eq!(max.define(&measure("antibiotics", "J01")).await.unwrap(), defined, "repeated");
    assert_eq!(refused(max.define(&measure("antibiotics", "N02A")).await), RefusalCode::MeasureExists);
    assert_eq!(refused(max.define(&measure("others", "J01C")).await), RefusalCode::MeasureOverlaps);
    max.define(&measure("opioids", "N02A")).await.unwrap();
    let names: Vec<_> = ann.measures().await.unwrap().into_iter().map(|measure| measure.id).collect();
    assert_eq!(names, [id("antibiotics"), id("opioids")]);
    assert_eq!(refused(ann.define(&measure("more", "C10")).await), RefusalCode::NotPermitted);

    let hospital = consortium.person("mia").statistics();
    let contributed = hospital.contribute(&counts("2020-01", 1)).await.unwrap();
    assert_eq!((contributed.organisation, contributed.by), (id("hospital"), Some(id("mia"))));
    let gateway = consortium.person("gateway-hospital").statistics();
    assert!(gateway.contribute(&counts("2020-01", 1)).await.is_ok(), "repeated, by the gateway");
    assert_eq!(refused(gateway.contribute(&counts("2020-01", 2)).await), RefusalCode::ContributionExists);
    consortium.person("gateway-clinic").statistics().contribute(&counts("2020-01", 2)).await.unwrap();
    let practice = consortium.person("gateway-practice").statistics();
    practice.contribute(&counts("2020-01", 3)).await.unwrap();
    for other in ["max", "gateway-payer", "carol"] {
        let statistics = consortium.person(other).statistics();
        assert_eq!(refused(statistics.contribute(&counts("2020-01", 1)).await), RefusalCode::NotPermitted, "{other}");
    }
    assert_eq!(refused(ann.table(&of_month("2020-01")).await), RefusalCode::PeriodOpen);

    let closed = max.close(&closing("2020-01")).await.unwrap();
    assert_eq!(max.close(&closing("2020-01")).await.unwrap(), closed, "repeated");
    assert_eq!(refused(ann.close(&closing("2020-02")).await), RefusalCode::NotPermitted);
    let table = ann.table(&of_month("2020-01")).await.unwrap();
    assert_eq!(table.contributors, 3);
    let shown: Vec<Option<u64>> =
        table.cells.iter().map(|cell| cell.counted.map(|counted| counted.numerator)).collect();
    assert_eq!(shown, [None, None, None, None, Some(306), Some(306)], "6 in Massachusetts, and so neither region");
    for other in ["max", "carol", "pia"] {
        let statistics = consortium.person(other).statistics();
        assert_eq!(refused(statistics.table(&of_month("2020-01")).await), RefusalCode::NotPermitted, "{other}");
    }

    for gateway in ["gateway-hospital", "gateway-clinic", "gateway-practice"] {
        consortium.person(gateway).statistics().contribute(&counts("2020-02", 20)).await.unwrap();
    }
    max.close(&closing("2020-02")).await.unwrap();
    let table = ann.table(&of_month("2020-02")).await.unwrap();
    assert_eq!(table.cells[0].counted, Some(Counted { numerator: 60, denominator: 3000 }));
    assert!(table.cells.iter().all(|cell| cell.counted.is_some()));

    gateway.contribute(&counts("2020-03", 20)).await.unwrap();
    max.close(&closing("2020-03")).await.unwrap();
    assert_eq!(refused(practice.contribute(&counts("2020-03", 20)).await), RefusalCode::PeriodClosed);
    assert_eq!(refused(ann.table(&of_month("2020-03")).await), RefusalCode::TooFewContributors);
    assert_eq!(refused(gateway.contribute(&counts("2019-12", 20)).await), RefusalCode::PeriodNotCounted);
    assert_eq!(refused(gateway.contribute(&counts("2999-01", 20)).await), RefusalCode::PeriodNotOver);

    let end = |last: &str| EndMeasure { measure: id("opioids"), last: id(last) };
    assert_eq!(refused(max.end(&end("2020-01")).await), RefusalCode::PeriodOver);
    assert_eq!(max.end(&end("2999-01")).await.unwrap().last, Some(id("2999-01")));
    assert!(max.end(&end("2999-01")).await.is_ok(), "repeated");
    assert_eq!(refused(max.end(&end("2999-02")).await), RefusalCode::MeasureEnded);
    assert_eq!(refused(ann.end(&end("2999-01")).await), RefusalCode::NotPermitted);
}

#[tokio::test]
async fn releases_spend_a_budget_that_is_never_exceeded() {
    let consortium = consortium().await;
    let (max, ann) = (consortium.person("max").statistics(), consortium.person("ann").statistics());
    max.define(&measure("antibiotics", "J01")).await.unwrap();
    assert_eq!(refused(ann.release(&release("r1", 600)).await), RefusalCode::PeriodOpen);
    max.close(&closing("2020-01")).await.unwrap();
    let made = ann.release(&release("r1", 600)).await.unwrap();
    assert_eq!(ann.release(&release("r1", 600)).await.unwrap(), made, "repeated, and spends nothing");
    assert_eq!(refused(ann.release(&release("r1", 599)).await), RefusalCode::ReleaseExists);
    assert_eq!(refused(ann.release(&release("r2", 401)).await), RefusalCode::BudgetSpent);
    let second = ann.release(&release("r2", 400)).await.unwrap();
    assert_eq!(refused(ann.release(&release("r3", 1)).await), RefusalCode::BudgetSpent);
    assert_eq!(refused(max.release(&release("r3", 1)).await), RefusalCode::NotPermitted);

    let alice = consortium.person("alice").statistics();
    let budget = Budget { measure: id("antibiotics"), epsilon: 1000, left: 0, releases: 2 };
    assert_eq!(alice.budget(&id("antibiotics")).await.unwrap(), budget);
    assert_eq!(refused(alice.budget(&id("none")).await), RefusalCode::UnknownMeasure);
    let mut query = ReleasesQuery { measure: id("antibiotics"), page_token: None, limit: Some(1.try_into().unwrap()) };
    let page = alice.releases(&query).await.unwrap();
    assert_eq!(page.items, [made]);
    query.page_token = page.next_page_token;
    assert_eq!(alice.releases(&query).await.unwrap().items, [second]);
    let other = ReleasesQuery { measure: id("none"), ..query };
    assert_eq!(refused(alice.releases(&other).await), RefusalCode::UnknownMeasure);

    consortium.suspend("ann", "agency").await;
    assert_eq!(refused(ann.table(&of_month("2020-01")).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(ann.release(&release("r4", 1)).await), RefusalCode::MemberSuspended);
    assert_eq!(refused(ann.measures().await), RefusalCode::MemberSuspended);
}

#[tokio::test]
async fn malformed_and_oversized_statistics_are_refused() {
    let consortium = Consortium::new().await;
    let max = consortium.person("max");
    let regions: Vec<String> = (0..257).map(|n| format!("R{n}")).collect();
    let cells: Vec<Value> = regions
        .iter()
        .map(|region| json!({"class": "J01", "region": region, "numerator": 0, "denominator": 0}))
        .collect();
    let values: Vec<Value> = regions
        .iter()
        .map(|region| json!({"class": "J01", "region": region, "numerator": 0, "denominator": 0}))
        .collect();
    let define = measure("antibiotics", "J01");
    for (function, argument) in [
        ("define", with(&define, "classes", json!(["E01"]))),
        ("define", with(&define, "classes", json!(["J01", "J01C"]))),
        ("define", with(&define, "regions", json!(regions))),
        ("define", with(&define, "per", json!(0))),
        ("define", with(&define, "epsilon_budget", json!(20_001))),
        ("define", with(&define, "more", json!(1))),
        ("end", json!({"measure": "antibiotics", "last": "2020-13"})),
        ("contribute", with(counts("2020-01", 1), "period", json!("2020"))),
        ("contribute", with(counts("2020-01", 1), "cells", json!([]))),
        ("contribute", with(counts("2020-01", 1), "cells", json!(cells))),
        ("close", json!({"measure": "Antibiotics", "period": "2020-01"})),
        ("table", json!({"measure": "antibiotics"})),
        ("release", with(release("r1", 1), "epsilon", json!(0))),
        ("release", with(release("r1", 1), "mechanism", json!("uniform"))),
        ("release", with(release("r1", 1), "values", json!(values))),
        ("releases", json!({"measure": "antibiotics", "limit": 101})),
        ("releases", json!({"measure": "antibiotics", "page_token": "?"})),
        ("budget", json!("")),
    ] {
        assert_eq!(max.status_of(&format!("Statistics:{function}"), argument.clone()).await, 400, "{argument}");
    }
}

#[tokio::test]
async fn many_contributions_commit_without_a_conflict() {
    let consortium = consortium().await;
    consortium.person("max").statistics().define(&measure("antibiotics", "J01")).await.unwrap();
    let contributions = (0..21).map(|n| {
        let gateway = ["gateway-hospital", "gateway-clinic", "gateway-practice"][n % 3];
        let contract = consortium.person(gateway).contract.clone().conflict_retries(0);
        async move {
            let call = counts(&format!("2020-{:02}", 1 + n / 3), 20);
            StatisticsClient::new(contract).contribute(&call).await
        }
    });
    for contributed in futures::future::join_all(contributions).await {
        contributed.unwrap();
    }
}
