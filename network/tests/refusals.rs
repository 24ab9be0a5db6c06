//! What a network refuses before it makes or starts anything.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap, too")]

use std::{fs, path::Path};

use healthchain_network::{Consortium, LedgerKind, Network, NetworkError, Programs, Progress};

/// A network whose programs are all missing.
fn network(folder: &Path, ledger: LedgerKind) -> Network {
    of(Consortium::shipped(), folder, ledger)
}

fn of(consortium: Consortium, folder: &Path, ledger: LedgerKind) -> Network {
    let programs = Programs { own: folder.join("nowhere"), fabric: None };
    Network::new(consortium, folder, ledger, programs, Progress::Quiet).unwrap()
}

/// As a network leaves its folder.
fn made_for(folder: &Path, ledger: LedgerKind, consortium: &Consortium) {
    fs::write(folder.join("ledger"), ledger.to_string()).unwrap();
    fs::write(folder.join("consortium.toml"), consortium.to_toml()).unwrap();
}

#[tokio::test]
async fn the_other_ledger_is_refused_for_a_folder_that_has_one() {
    let folder = tempfile::tempdir().unwrap();
    made_for(folder.path(), LedgerKind::Fabric, &Consortium::shipped());

    let refusal = network(folder.path(), LedgerKind::Embedded).up().await.unwrap_err();

    assert!(matches!(refusal, NetworkError::OtherLedger { made_for: LedgerKind::Fabric, .. }), "{refusal}");
    assert!(refusal.to_string().contains("run `up` without --ledger or with --ledger fabric"), "{refusal}");
    assert_eq!(LedgerKind::of_folder(folder.path()), Some(LedgerKind::Fabric));
}

#[tokio::test]
async fn other_ports_are_refused_for_a_folder_that_has_a_network() {
    let folder = tempfile::tempdir().unwrap();
    made_for(folder.path(), LedgerKind::Embedded, &Consortium::shipped());
    let moved = Consortium::shipped().with_port_offset(100).unwrap();

    let refusal = of(moved, folder.path(), LedgerKind::Embedded).up().await.unwrap_err();

    assert!(matches!(refusal, NetworkError::OtherShape { .. }), "{refusal}");
}

#[tokio::test]
async fn fabric_that_is_missing_is_told_in_one_line_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("network");

    let refusal = network(&inside, LedgerKind::Fabric).up().await.unwrap_err();

    assert!(matches!(refusal, NetworkError::FabricMissing { .. }), "{refusal}");
    assert_eq!(refusal.to_string().lines().count(), 1);
    assert!(!inside.exists());
}

#[tokio::test]
async fn a_program_of_ours_that_is_missing_is_named_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("network");

    let refusal = network(&inside, LedgerKind::Embedded).up().await.unwrap_err();

    assert!(refusal.to_string().contains("nowhere/fabric-embedded is missing"), "{refusal}");
    assert!(!inside.exists());
}

#[tokio::test]
async fn a_second_call_at_the_same_time_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    made_for(folder.path(), LedgerKind::Embedded, &Consortium::shipped());
    let other = fs::File::create(folder.path().join("lock")).unwrap();
    other.lock().unwrap();

    let refusal = network(folder.path(), LedgerKind::Embedded).down().await.unwrap_err();

    assert!(matches!(refusal, NetworkError::Busy(_)), "{refusal}");
}

#[tokio::test]
async fn cleaning_deletes_no_folder_that_is_no_networks() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();

    let refusal = network(folder.path(), LedgerKind::Embedded).clean().await.unwrap_err();

    assert!(matches!(refusal, NetworkError::NoNetwork(_)), "{refusal}");
    assert!(folder.path().join("thesis.txt").exists());
}

#[tokio::test]
async fn cleaning_leaves_what_somebody_else_put_into_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    made_for(folder.path(), LedgerKind::Embedded, &Consortium::shipped());
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();

    network(folder.path(), LedgerKind::Embedded).clean().await.unwrap();

    assert!(!folder.path().join("ledger").exists());
    assert!(folder.path().join("thesis.txt").exists());
}

#[tokio::test]
async fn a_component_that_is_unknown_is_refused_before_there_is_a_network() {
    let folder = tempfile::tempdir().unwrap();

    let refusal = network(folder.path(), LedgerKind::Embedded).stop("peer.nobody").await.unwrap_err();

    assert!(matches!(refusal, NetworkError::NoNetwork(_)), "{refusal}");
}
