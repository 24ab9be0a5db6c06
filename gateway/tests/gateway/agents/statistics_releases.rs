//! What is released with noise, and what is not.

use healthchain_gateway::agents::statistics_releases::StatisticsReleases;
use healthchain_gateway::ledger::LedgerFailure;
use healthchain_rules::RefusalCode;
use serde_json::json;

use super::super::ledger::{When, refused};
use super::super::world::World;
use super::{AGENT, a_while, at_work, until, world};

fn releases() -> StatisticsReleases {
    releases_at(500)
}

/// Releases that spend so many thousandths of ε.
fn releases_at(epsilon: u32) -> StatisticsReleases {
    let settings = json!({ "member": AGENT, "measure": "antibiotics", "epsilon": epsilon, "check_seconds": 600 });
    StatisticsReleases::new(serde_json::from_value(settings).unwrap())
}

/// A measure of two months, the first of which was released; the second has one cell that is shown.
async fn with_table(left: u32) -> World {
    let world = world().await;
    let cell = json!({ "class": "J01", "region": "US-MA", "numerator": 100_000, "denominator": 1_000_000 });
    let release = |period: &str| {
        let terms = json!({ "period": period, "epsilon": 500, "mechanism": "discrete-laplace", "values": [cell] });
        json!({ "id": period, "measure": "antibiotics", "terms": terms, "by": "ann", "at": 1 })
    };
    let measure = json!({
        "id": "antibiotics", "by": "max", "defined": 1, "last": "2020-02",
        "terms": {
            "title": "antibiotics", "denominator": "visits", "per": 1000, "classes": ["J01"], "regions": ["US-MA", "US-NY"],
            "from": "2020-01", "epsilon_budget": 1000,
        },
    });
    let table = json!({
        "measure": "antibiotics", "period": "2020-02", "contributors": 3,
        "cells": [
            { "region": "US-MA", "class": "J01", "counted": { "numerator": 100_000, "denominator": 1_000_000 } },
            { "region": "US-NY", "class": "J01" },
            { "counted": { "numerator": 100_000, "denominator": 1_000_000 } },
        ],
    });
    {
        let mut state = world.ledger.state.lock().unwrap();
        state.answers.insert("Statistics:measures".into(), json!([measure]));
        state.answers.insert("Statistics:releases".into(), json!({ "items": [release("2020-01")] }));
        let budget = json!({ "measure": "antibiotics", "epsilon": 1000, "left": left, "releases": 1 });
        state.answers.insert("Statistics:budget".into(), budget);
        state.answers.insert("Statistics:table".into(), table);
        state.answers.insert("Statistics:release".into(), release("2020-02"));
    }
    world
}

fn released(world: &World) -> usize {
    world.ledger.called("Statistics:release")
}

#[tokio::test]
async fn a_closed_month_is_released_once_with_noise_on_what_is_shown_only() {
    let world = with_table(500).await;
    let _at_work = at_work(&world, releases());
    until("the release", async || released(&world) == 1).await;
    let sent = world.ledger.argument_of("Statistics:release");
    assert_eq!(
        (&sent["period"], &sent["epsilon"], &sent["mechanism"]),
        (&json!("2020-02"), &json!(500), &json!("discrete-laplace"))
    );
    let [value] = sent["values"].as_array().unwrap().as_slice() else { panic!("{sent}") };
    assert_eq!((&value["region"], &value["class"]), (&json!("US-MA"), &json!("J01")));
    // Beyond this the noise lies less than once in 10^100 runs.
    let near = |value: i64, truth: i64| (value - truth).abs() < 1000;
    assert!(
        near(value["numerator"].as_i64().unwrap(), 100_000) && near(value["denominator"].as_i64().unwrap(), 1_000_000)
    );
    a_while().await;
    assert_eq!(released(&world), 1);
}

#[tokio::test]
async fn a_release_that_is_tried_again_shows_nobody_a_second_draw() {
    let world = with_table(500).await;
    world.ledger.fail_next("Statistics:release", When::Before, LedgerFailure::Unreachable("down".into()));
    let _at_work = at_work(&world, releases());
    until("the first try", async || released(&world) == 1).await;
    let first = world.ledger.argument_of("Statistics:release");
    until("the second try", async || released(&world) == 2).await;
    assert_eq!(world.ledger.argument_of("Statistics:release"), first);
}

#[tokio::test]
async fn a_draw_is_released_with_the_epsilon_that_it_was_drawn_with_whatever_is_configured_since() {
    let world = with_table(1000).await;
    world.ledger.fail_next("Statistics:release", When::Before, refused(RefusalCode::BudgetSpent));
    let at_work_before = at_work(&world, releases_at(1000));
    until("the refusal", async || released(&world) == 1).await;
    let refused = world.ledger.argument_of("Statistics:release");
    assert_eq!(refused["epsilon"], 1000);
    drop(at_work_before);

    let _at_work = at_work(&world, releases_at(500));
    until("the release", async || released(&world) == 2).await;
    assert_eq!(world.ledger.argument_of("Statistics:release"), refused);
}

#[tokio::test]
async fn nothing_is_drawn_or_sent_beyond_the_budget_for_an_open_month_or_by_a_stopped_agent() {
    let world = with_table(499).await;
    let at_work_beyond = at_work(&world, releases());
    until("the budget is asked for", async || world.ledger.called("Statistics:budget") == 1).await;
    a_while().await;
    assert_eq!((world.ledger.called("Statistics:table"), released(&world)), (0, 0));
    drop(at_work_beyond);

    for code in [RefusalCode::PeriodOpen, RefusalCode::TooFewContributors] {
        let world = with_table(500).await;
        world.ledger.fail_next("Statistics:table", When::Before, refused(code));
        let _at_work = at_work(&world, releases());
        until("the table is asked for", async || world.ledger.called("Statistics:table") == 1).await;
        a_while().await;
        assert_eq!(released(&world), 0);
    }

    let world = with_table(500).await;
    world.ledger.refuse_member(AGENT, Some(RefusalCode::AgentNotPermitted));
    let _at_work = at_work(&world, releases());
    a_while().await;
    assert_eq!((world.ledger.called("Statistics:table"), released(&world)), (0, 0));
    world.ledger.refuse_member(AGENT, None);
    until("the release", async || released(&world) == 1).await;
}
