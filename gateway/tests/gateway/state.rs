//! What a gateway remembers beside the ledger, in SQLite and in PostgreSQL.

use std::collections::BTreeMap;
use std::time::Duration;

use healthchain_gateway::ledger::Position;
use healthchain_gateway::state::answers::{self, Answer, CLAIM, Claim, Claimed, KEPT, Progress};
use healthchain_gateway::state::{Place, State, StateError, StateKey, checkpoint, retention};
use healthchain_gateway::{custodian, rebuild};
use healthchain_rules::{LedgerTime, MemberId};

use super::postgres;

/// A place in each database, and the folder of the one that is a file.
async fn places() -> (tempfile::TempDir, [Place; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let file = Place::File(folder.path().join("state.sqlite"));
    (folder, [file, postgres::database().await])
}

async fn open(place: &Place) -> State {
    State::open(place, StateKey::generate()).await.unwrap()
}

fn at(milliseconds: u64) -> LedgerTime {
    LedgerTime::from_milliseconds(1_000_000_000_000 + milliseconds)
}

fn later(time: Duration) -> LedgerTime {
    at(time.as_millis() as u64)
}

fn member(id: &str) -> MemberId {
    id.parse().unwrap()
}

fn said(body: &str) -> Answer {
    let headers = BTreeMap::from([("location".to_owned(), "/v1/things/1".to_owned())]);
    Answer { status: 201, headers, body: body.into() }
}

async fn claim(state: &State, of: &str, fingerprint: &str, now: LedgerTime) -> Claimed {
    answers::claim(state, "key", &member(of), fingerprint, now).await.unwrap()
}

async fn claimed(state: &State, now: LedgerTime) -> Claim {
    match claim(state, "dr-grey", "one", now).await {
        Claimed::Now(claim) => claim,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn gateways_that_start_at_once_make_the_tables_once() {
    let (folder, places) = places().await;
    for place in places {
        let key = folder.path().join("state.key");
        let opened = (0..8).map(|_| {
            let (place, key) = (place.clone(), key.clone());
            tokio::spawn(async move { State::open(&place, StateKey::in_file(&key).unwrap()).await.map(drop) })
        });
        for opened in futures::future::join_all(opened).await {
            opened.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_checkpoint_is_there_after_a_restart_and_never_goes_back() {
    let (folder, places) = places().await;
    let key = || StateKey::in_file(&folder.path().join("state.key")).unwrap();
    for place in places {
        let state = State::open(&place, key()).await.unwrap();
        assert_eq!(checkpoint::load(&state, "custodian").await.unwrap(), None);
        let position = |block, transaction: &str| Position { block, transaction: transaction.into() };
        for saved in [position(7, "ab"), position(7, "cd"), position(6, "ef")] {
            checkpoint::save(&state, "custodian", &saved).await.unwrap();
        }
        state.close().await;
        let state = State::open(&place, key()).await.unwrap();
        assert_eq!(checkpoint::load(&state, "custodian").await.unwrap(), Some(position(7, "cd")));
        assert_eq!(checkpoint::load(&state, "webhooks").await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_earlier_releases_checkpoint_is_taken_over_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("custodian-checkpoint.json");
    let state = State::in_memory().await.unwrap();
    checkpoint::adopt(&state, "custodian", &file).await.unwrap();
    assert_eq!(checkpoint::load(&state, "custodian").await.unwrap(), None);

    std::fs::write(&file, r#"{"block":7,"transaction":"ab"}"#).unwrap();
    checkpoint::adopt(&state, "custodian", &file).await.unwrap();
    let taken_over = Some(Position { block: 7, transaction: "ab".into() });
    assert_eq!(checkpoint::load(&state, "custodian").await.unwrap(), taken_over);
    assert!(!file.exists());

    std::fs::write(&file, "{").unwrap();
    let error = checkpoint::adopt(&state, "custodian", &file).await.unwrap_err().to_string();
    assert!(error.contains("custodian-checkpoint.json") && error.contains("remove the file"), "{error}");
    assert!(file.exists());
}

#[tokio::test]
async fn a_state_opens_under_its_own_key_only() {
    let (_folder, places) = places().await;
    for place in places {
        open(&place).await.close().await;
        let error = State::open(&place, StateKey::generate()).await.err().unwrap();
        assert!(matches!(error, StateError::OtherKey), "{error}");
        assert!(error.to_string().contains("key_file"), "{error}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_and_its_password_is_not() {
    let nowhere = Place::File("/nowhere/state.sqlite".into());
    let error = State::open(&nowhere, StateKey::generate()).await.err().unwrap().to_string();
    assert!(error.contains("/nowhere/state.sqlite") && error.contains("check that it is there"), "{error}");
    let nobody = Place::Postgres("postgres://gateway:hunter2@127.0.0.1:1/gateway".parse().unwrap());
    let error = State::open(&nobody, StateKey::generate()).await.err().unwrap();
    assert!(error.to_string().contains("gateway at 127.0.0.1"), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn a_request_is_carried_out_by_one_and_answered_to_all_who_repeat_it() {
    let (_folder, places) = places().await;
    for place in places {
        let state = open(&place).await;
        let asked = futures::future::join_all((0..10).map(|_| claim(&state, "dr-grey", "one", at(0)))).await;
        let mut won: Vec<_> = asked.into_iter().filter(|claimed| *claimed != Claimed::UnderWay).collect();
        assert_eq!(won.len(), 1, "{place:?}");
        let Some(Claimed::Now(winner)) = won.pop() else { panic!("{won:?}") };
        assert_eq!(
            answers::progress(&state, "key", &member("dr-grey"), at(1)).await.unwrap(),
            Some(Progress::UnderWay)
        );

        answers::complete(&state, &winner, &said("{}")).await.unwrap();
        assert_eq!(claim(&state, "dr-grey", "one", at(1)).await, Claimed::Before(said("{}")));
        assert_eq!(claim(&state, "dr-grey", "two", at(1)).await, Claimed::OtherRequest);
        assert_eq!(claim(&state, "dr-yang", "one", at(1)).await, Claimed::OtherRequest);
        let progress = answers::progress(&state, "key", &member("dr-grey"), at(1)).await.unwrap();
        assert_eq!(progress, Some(Progress::Answered(said("{}"))));
        assert_eq!(answers::progress(&state, "key", &member("dr-yang"), at(1)).await.unwrap(), None);
        assert!(matches!(claim(&state, "dr-grey", "two", later(KEPT)).await, Claimed::Now(_)), "a day later");
    }
}

#[tokio::test]
async fn whoever_stops_in_the_middle_does_not_keep_a_request_from_being_repeated() {
    let (_folder, places) = places().await;
    for place in places {
        let state = open(&place).await;
        let stopped = claimed(&state, at(0)).await;
        answers::renew(&state, &stopped, later(CLAIM / 2)).await.unwrap();
        assert_eq!(claim(&state, "dr-grey", "one", later(CLAIM)).await, Claimed::UnderWay, "it was renewed");

        let end = later(CLAIM * 2);
        assert_eq!(answers::progress(&state, "key", &member("dr-grey"), end).await.unwrap(), Some(Progress::CutOff));
        assert_eq!(claim(&state, "dr-grey", "two", end).await, Claimed::OtherRequest);
        assert_eq!(claim(&state, "dr-yang", "one", end).await, Claimed::OtherRequest);
        let next = claimed(&state, end).await;
        // The first one is late, and has no say any more.
        answers::complete(&state, &stopped, &said("\"late\"")).await.unwrap();
        answers::release(&state, &stopped).await.unwrap();
        assert_eq!(claim(&state, "dr-grey", "one", end).await, Claimed::UnderWay);
        answers::complete(&state, &next, &said("\"in time\"")).await.unwrap();
        assert_eq!(claim(&state, "dr-grey", "one", end).await, Claimed::Before(said("\"in time\"")));
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_may_be_another_one_at_once() {
    let (_folder, places) = places().await;
    for place in places {
        let state = open(&place).await;
        answers::release(&state, &claimed(&state, at(0)).await).await.unwrap();
        assert!(matches!(claim(&state, "dr-grey", "two", at(0)).await, Claimed::Now(_)));
    }
}

#[tokio::test]
async fn what_is_past_its_time_is_deleted_and_nothing_else() {
    let (_folder, places) = places().await;
    for place in places {
        let state = open(&place).await;
        claimed(&state, at(0)).await;
        let known = async || answers::progress(&state, "key", &member("dr-grey"), at(0)).await.unwrap().is_some();
        retention::delete_expired(&state, later(KEPT)).await.unwrap();
        assert!(known().await);
        retention::delete_expired(&state, later(KEPT * 2)).await.unwrap();
        assert!(!known().await);
    }
}

#[tokio::test]
async fn the_database_alone_tells_no_answer_and_only_its_user_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, [place, _]) = places().await;
    let state = open(&place).await;
    let now = claimed(&state, at(0)).await;
    answers::complete(&state, &now, &said("{\"finding\":\"appendicitis\"}")).await.unwrap();
    state.close().await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let clear = bytes.windows(12).any(|window| window == b"appendicitis" || window == b"/v1/things/1");
        assert!(!clear, "{}", path.display());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
}

#[tokio::test]
async fn a_rebuilt_state_reads_the_ledger_again_and_says_what_the_ledger_does_not_know() {
    let (_folder, places) = places().await;
    for place in places {
        let state = open(&place).await;
        let position = Position { block: 7, transaction: "ab".into() };
        checkpoint::save(&state, custodian::READER, &position).await.unwrap();
        let outcomes = rebuild::outcomes(&state, 1_500).await.unwrap();
        assert_eq!(checkpoint::load(&state, custodian::READER).await.unwrap(), None);
        let of = |what: &str| outcomes.iter().find(|outcome| outcome.what.contains(what)).unwrap();
        assert!(of("checkpoint").rebuilt && of("checkpoint").says.contains("block 500"));
        assert!(!of("webhooks").rebuilt);
        assert!(!of("patient index").rebuilt && of("patient index").says.contains("backup"));
    }
}
